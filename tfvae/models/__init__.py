"""The VAE as a user calls it, its training step, what it can be conditioned on, views of its latent space.

It may import architectures, distributions, runtime and what is below them.
"""
