"""What people do with a trained model: turn images into codes and codes into images, in files.

Every job takes a run, a SavedModel or ``zoo:NAME``, and images by name, a batch at a time. It may import `training`
and what is below.
"""
