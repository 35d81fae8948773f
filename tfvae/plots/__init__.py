"""Pictures and diagrams from arrays: grids, curves, planes, latent-space figures.

It may import errors, specs, config.
"""
