"""A small server of SavedModels that speaks TensorFlow Serving's REST API, for where that server is not."""
