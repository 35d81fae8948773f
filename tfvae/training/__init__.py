"""A run: its folder, checkpoints, compiled engine, loop; train, resume, second stage and sweep.

It may import objectives, datasets, models and what is below them.
"""
