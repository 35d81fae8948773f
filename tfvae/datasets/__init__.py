"""Data sets by name: ``load("fashion_mnist", "train")`` returns uint8 images [N,H,W,C] and labels [N].

Inside: the catalogue, one module for each kind of source, splits, prepared copies, users' own files and functions.
It may import runtime, config, specs and errors; TensorFlow is imported only when a TFDS set is really read.
"""

from tfvae.datasets.catalogue import Factors, factors, names
from tfvae.datasets.dataset_loading import class_names, load
from tfvae.datasets.given_arrays import from_arrays, name_data
from tfvae.datasets.image_arrays import fingerprint, fingerprint_split
from tfvae.datasets.name_resolution import check_name
from tfvae.datasets.picture_folders import skipped_files
from tfvae.datasets.preparation import info, prepare

__all__ = [
    "Factors",
    "check_name",
    "class_names",
    "factors",
    "fingerprint",
    "fingerprint_split",
    "from_arrays",
    "info",
    "load",
    "name_data",
    "names",
    "prepare",
    "skipped_files",
]
