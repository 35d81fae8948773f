"""Trained models by name: the index, its entries, and `load`, which opens a run, a SavedModel or zoo:NAME.

It may import evaluation, export, reports and what is below them.
"""
