"""What every part of tfvae runs on: random streams, files and locks, environment, progress reporters, optimizer.

It may import errors, specs, config.
"""
