"""What a VAE with a free encoder and decoder does: fixed points, partitions, phase transitions. NumPy, float64.

The Lagrangian throughout is 1/2 E|x - g(z)|^2 + beta KL(q(z|x) || pi(z)), so beta is the variance sigma^2 of a Gaussian
decoder. With E|x - g(z)|^2 + b KL instead, b = 2 beta; with E|x - g(z)|^2 / (2 s^2) + b KL, b s^2 = beta.
"""
