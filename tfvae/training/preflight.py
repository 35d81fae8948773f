"""What can be refused before TensorFlow is loaded."""

from tfvae import datasets, specs
from tfvae.config import Config


def check_part_names(config: Config) -> None:
    """Refuse unknown parts and data sets, before TensorFlow is loaded."""
    for kind in specs.TABLES:
        spec = getattr(config, kind)
        if (kind, spec) != ("likelihood", "auto"):
            specs.check_spec(kind, spec)
    datasets.check_name(config.dataset)
