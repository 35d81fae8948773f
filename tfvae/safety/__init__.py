"""What is read of files that somebody else may have written: looked at first, and loaded in one place each.

It may import errors, specs, config, runtime.
"""
