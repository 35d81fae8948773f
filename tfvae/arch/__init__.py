"""Architectures: x -> q(z|x), z -> features. They know nothing of objectives or pixels' likelihoods."""

from tfvae.arch.conv import Conv, ResNet
from tfvae.arch.convdraw import ConvDraw
from tfvae.arch.ladder import Ladder
from tfvae.arch.mlp import MLP

ARCHITECTURES = {"mlp": MLP, "conv": Conv, "resnet": ResNet, "convdraw": ConvDraw, "ladder": Ladder}
