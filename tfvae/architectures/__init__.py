"""Architectures: x -> q(z|x), z -> decoder outputs. They know nothing of objectives or pixels' likelihoods.

They may import distributions, runtime and what is below those.
"""

from tfvae.architectures.conv import Conv, ResNet
from tfvae.architectures.convdraw import ConvDraw
from tfvae.architectures.ladder import Ladder
from tfvae.architectures.mlp import MLP

ARCHITECTURES = {"mlp": MLP, "conv": Conv, "resnet": ResNet, "convdraw": ConvDraw, "ladder": Ladder}
