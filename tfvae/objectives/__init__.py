"""What is minimised: one file a family, GECO in a package of its own, the registry and `build`.

It may import models and what is below it.
"""
