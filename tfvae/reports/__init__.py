"""Pages and comparisons made of finished runs.

It may import evaluation, export, training, plots and what is below them.
"""
