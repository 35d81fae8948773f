"""Pictures and diagrams from arrays: grids, scatter plots, curves, planes, latent-space figures.

It may import errors and runtime; it knows nothing of models.
"""
