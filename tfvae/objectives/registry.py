"""The objectives by name: what ``tfvae train NAME`` and `tfvae.build` know."""

from __future__ import annotations

from tfvae.objectives.aggregate_posterior import TCVAE, InfoVAE
from tfvae.objectives.elbo_family import ELBO, BetaVAE, SigmaVAE
from tfvae.objectives.geco.geco import GECO, GECOIWAE
from tfvae.objectives.importance_weighted import CIWAE, IWAE, MIWAE

OBJECTIVES = {
    "elbo": ELBO,
    "beta": BetaVAE,
    "sigma": SigmaVAE,
    "geco": GECO,
    "iwae": IWAE,
    "miwae": MIWAE,
    "ciwae": CIWAE,
    "geco-iwae": GECOIWAE,
    "tc": TCVAE,
    "info": InfoVAE,
}
