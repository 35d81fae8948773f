"""Architectures: x -> q(z|x), z -> features. They know nothing of objectives or pixels' likelihoods."""

from tfvae.arch.conv import Conv, ResNet
from tfvae.arch.mlp import MLP

ARCHITECTURES = {"mlp": MLP, "conv": Conv, "resnet": ResNet}
