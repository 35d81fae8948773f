"""A small server of SavedModels that speaks TensorFlow Serving's REST API, for where that server is not installed.

`rest_requests` and `rest_responses` turn bytes into arrays and back; `http_server` is the WSGI app,
`host_guard` keeps pages of other sites from it, `connection_limits` runs it for many and slow clients.
It may import export, zoo and what is below them.
"""
