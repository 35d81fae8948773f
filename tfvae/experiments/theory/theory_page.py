"""The theory of Rezende and Viola (2018) in pictures: what a VAE with a free encoder and decoder does.

The claims are those of Parnas and Shazman (Project ML2: Taming VAE). No training and no data set: fixed points on toy
data, in float64, beside what is known of them. The Lagrangian is 1/2 E|x - g(z)|^2 + beta KL, so that beta is the
variance sigma^2 of a Gaussian decoder.
"""

from tfvae.experiments.theory import (
    fixed_points_recipe,
    kernel_pca_recipe,
    levels_recipe,
    partition_recipe,
    transitions_recipe,
)

PARTS = (fixed_points_recipe, partition_recipe, transitions_recipe, kernel_pca_recipe, levels_recipe)


def run(lab):
    """Add the section of each part, and write the page."""
    for part in PARTS:
        part.add_section(lab)
    lab.write_page("Theory: fixed points, partitions, transitions, kernel PCA, energy levels", __doc__)
