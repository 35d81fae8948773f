"""A local page for looking at a model, on TensorFlow Serving's REST API; the verb explore.

`site` serves the page, `upstream` passes requests on to a server elsewhere, `page` holds HTML, CSS and JavaScript.
It may import serving and what is below it; nothing here imports TensorFlow.
"""
