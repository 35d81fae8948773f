"""A local page for looking at a model, on TensorFlow Serving's REST API; the verb explore."""
