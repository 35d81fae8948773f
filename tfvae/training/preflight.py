"""What can be refused before TensorFlow is loaded."""

from __future__ import annotations

from tfvae import datasets, part_sources
from tfvae.config import Config


def check_part_names(config: Config) -> None:
    """Refuse unknown parts and data sets, before TensorFlow is loaded."""
    for kind in part_sources.TABLES:
        spec = getattr(config, kind)
        if (kind, spec) != ("likelihood", "auto"):
            part_sources.check_spec(kind, spec)
    datasets.check_name(config.dataset)
