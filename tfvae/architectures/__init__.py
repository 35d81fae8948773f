"""Architectures: x -> q(z|x), z -> features. They know nothing of objectives or pixels' likelihoods."""

from tfvae.architectures.conv import Conv, ResNet
from tfvae.architectures.convdraw import ConvDraw
from tfvae.architectures.ladder import Ladder
from tfvae.architectures.mlp import MLP

ARCHITECTURES = {"mlp": MLP, "conv": Conv, "resnet": ResNet, "convdraw": ConvDraw, "ladder": Ladder}
