"""Data sets by name: ``load("fashion_mnist", "train")`` returns uint8 images [N,H,W,C] and labels [N].

Inside: the catalogue, one module for each kind of source, splits, prepared copies, users' own files and functions.
It may import runtime, config, specs and errors; TensorFlow is imported only when a TFDS set is really read.
"""

from tfvae.datasets.catalogue import Factors, factors, names
from tfvae.datasets.dataset_loading import fingerprint, load
from tfvae.datasets.name_resolution import check_name
from tfvae.datasets.picture_folders import skipped_files
from tfvae.datasets.preparation import info, prepare

__all__ = ["Factors", "check_name", "factors", "fingerprint", "info", "load", "names", "prepare", "skipped_files"]
