"""Probability: terms of a forward pass, densities, divergences, likelihoods p(x|z), priors p(z).

It may import runtime and what is below it.
"""
