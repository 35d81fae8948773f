"""The catalogue: which recipes there are, which documents they follow, and where each claim of these is checked.

A claim is named after its author. A recipe's verdicts name the claims that they answer.
"""

from typing import NamedTuple


class Recipe(NamedTuple):
    """A recipe's module in `tfvae.experiments`, and what it shows."""

    module: str
    description: str


RECIPES = {
    "theory": Recipe(
        "theory.theory_page",
        "fixed points, partitions, phase transitions, kernel PCA, energy levels (Parnas and Shazman)",
    ),
    "geco-kappa": Recipe(
        "geco_kappa",
        "GECO at kappa 3, 4, 5 over 100 epochs, and its controllers (Parnas and Shazman; Kuzina and others, 2018)",
    ),
    "information-plane": Recipe(
        "information_plane", "GECO, beta-VAEs and ELBO in the information plane (Parnas and Shazman, figures 3 to 6)"
    ),
    "mnist-table": Recipe("mnist_table", "VAE, beta-VAE, GECO and GECO+IWAE on MNIST (Kuzina and others, 2018)"),
    "color-mnist": Recipe(
        "color_mnist",
        "GECO and ELBO with ConvDraw on color_mnist (Parnas and Shazman; Rezende and Viola, 2018, figures 1 and 2)",
    ),
    "cifar-table": Recipe("cifar_table", "VAE, beta-VAE and GECO with ConvDraw on CIFAR-10 (Kuzina and others, 2018)"),
    "convdraw": Recipe(
        "convdraw_steps",
        "ConvDraw's steps beside a conv VAE; conditioned on a label or a part of the image (Parnas and Shazman)",
    ),
    "likelihoods": Recipe("likelihood_table", "calibrated decoders and other likelihoods in bits/dim (Kim)"),
    "rate-distortion": Recipe(
        "rate_distortion", "one model conditioned on beta or kappa beside models trained for one value (Kim)"
    ),
    "second-stage": Recipe("second_stage_samples", "samples of the prior beside a mixture fitted to the codes (Kim)"),
    "square": Recipe("square", "the uniform square through two latents and through one (Idler, 2022)"),
    "latent-sizes": Recipe("latent_sizes", "samples of VAEs with 2, 10, 25 and 50 latents on MNIST (Haseeb ur Rehman)"),
    "kl-weights": Recipe("kl_weights", "KL weights 1 to 40: the plane of z, and disentanglement (Haseeb ur Rehman)"),
    "kl-constrained": Recipe(
        "kl_constrained", "a bound on the KL, and the beta that it corresponds to (Haseeb ur Rehman)"
    ),
    "gamma": Recipe("gamma", "sigma^2 learnt beside sigma^2 fixed: errors, codes, slices through the loss (Kim)"),
    "surgery": Recipe("surgery", "the ELBO in four terms over beta, sparse against dense codes, samples (Kim)"),
    "holes": Recipe(
        "holes_and_blur",
        "holes and blur: where the prior reaches and no posterior does, or several overlap (Parnas and Shazman)",
    ),
    "binary-nll": Recipe("binary_nll", "log p(x) of binarised MNIST and Fashion-MNIST beside published figures"),
}

# author, as the names of claims begin: author and title of the document
SOURCES = {
    "Parnas": "Parnas and Shazman, Project ML2: Taming VAE (a report on Rezende and Viola, 2018, arXiv:1810.00597)",
    "Kuzina": "Kuzina, Prokopenko and Shumovskaia (2018), Taming VAEs",
    "Idler": "Idler (2022), AIML 425, assignment 2, problem 2: a VAE of the uniform square",
    "Kim": "Kim Seung Hwan, Decoupling beta from sigma_x in the Gaussian VAE",
    "Haseeb": "Haseeb ur Rehman, Homework 04 Deep Learning",
}


class Claim(NamedTuple):
    """What a document says or shows, and where it is checked: recipes, or a text where no recipe does."""

    text: str
    where: tuple[str, ...] | str


CLAIMS = {
    "Parnas: holes": Claim("holes: z whose decoding is meaningless", ("holes", "theory")),
    "Parnas: blur": Claim("blur: z where posteriors overlap", ("holes",)),
    "Parnas: ELBO": Claim("the ELBO", ("binary-nll",)),
    "Parnas: Lagrangian": Claim(
        "the Lagrangian with several constraints", "`tfvae train geco --constraints`, `test_constraints.py`"
    ),
    "Parnas: decoder's fixed point": Claim("the decoder's fixed point", ("theory",)),
    "Parnas: encoder's fixed point": Claim("the encoder's fixed point", ("theory",)),
    "Parnas: optimal sigma^2": Claim("the optimal sigma^2", ("theory", "holes")),
    "Parnas: partitions": Claim("partitions are fixed points as sigma goes to 0", ("theory",)),
    "Parnas: equal cells": Claim("equal cells: least KL, and q(z) is the prior", ("theory",)),
    "Parnas: phase transitions": Claim("u(beta), critical temperatures, phase transitions", ("theory",)),
    "Parnas: kernel PCA": Claim("kernel PCA with the normalised Gaussian kernel", ("theory",)),
    "Parnas: energy levels": Claim("the Hamiltonian: levels of equal energy", ("theory",)),
    "Parnas: GECO algorithm": Claim("the GECO algorithm", ("geco-kappa",)),
    "Parnas: Color-MNIST": Claim(
        "ConvDraw and conditional ConvDraw on Color-MNIST (CelebA cannot be had here)", ("color-mnist", "convdraw")
    ),
    "Parnas: Fashion-MNIST": Claim(
        "Fashion-MNIST; ConvDraw was too costly for them", ("information-plane", "convdraw")
    ),
    "Parnas: three trainings": Claim("three trainings: GECO, NLL and RE with beta 0.5, 1, 2", ("information-plane",)),
    "Parnas: information plane": Claim("figure 3: the information plane", ("information-plane",)),
    "Parnas: kappa and beta": Claim("what kappa and beta do there", ("information-plane", "geco-kappa")),
    "Parnas: pictures": Claim("figures 4 and 5: reconstructions, samples of z1, z2, z3", ("information-plane",)),
    "Parnas: KL during training": Claim("figure 6: KL during training", ("information-plane",)),
    "Parnas: GECO's advantages": Claim(
        "no search for beta; more epochs lower the KL; robust latents",
        ("information-plane", "geco-kappa", "color-mnist"),
    ),
    "Parnas: ELBO's error": Claim(
        "the ELBO cuts the error further at the KL's expense", ("information-plane", "color-mnist")
    ),
    "Kuzina: beta-VAE": Claim("beta-VAE", ("mnist-table",)),
    "Kuzina: GECO's update": Claim("GECO's update", ("mnist-table", "geco-kappa")),
    "Kuzina: IWAE": Claim("IWAE", ("binary-nll",)),
    "Kuzina: GECO+IWAE": Claim("GECO+IWAE", ("mnist-table",)),
    "Kuzina: MNIST table": Claim("the MNIST table", ("mnist-table",)),
    "Kuzina: CIFAR-10 table": Claim("the CIFAR-10 table", ("cifar-table",)),
    "Kuzina: MNIST setting": Claim("the MNIST setting", ("mnist-table",)),
    "Kuzina: CIFAR-10 setting": Claim("the CIFAR-10 setting", ("cifar-table",)),
    "Kuzina: baselines": Claim(
        "baselines trained with another likelihood: here all with the same", ("mnist-table", "cifar-table")
    ),
    "Kuzina: GECO against VAE": Claim(
        "GECO and GECO+IWAE against VAE and beta-VAE; lambda grows too fast early", ("mnist-table", "geco-kappa")
    ),
    "Kuzina: pictures and traces": Claim(
        "reconstructions, samples, traces of loss, error, KL and lambda", ("mnist-table", "cifar-table", "geco-kappa")
    ),
    "Idler: uniform square": Claim("the uniform square, coloured by quadrant", ("square",)),
    "Idler: network": Claim("two layers of 30; two latents or one", ("square",)),
    "Idler: loss": Claim("beta KL and lambda |W|^2; annealing rejected", ("square",)),
    "Idler: lambda and beta": Claim("figure 2: lambda and beta with two latents", ("square",)),
    "Idler: one latent": Claim("figure 3: one latent snakes through the square", ("square",)),
    "Idler: neighbourhoods": Claim("neighbourhoods survive, up to rotation and reflection", ("square",)),
    "Kim: closed forms": Claim("the Gaussian NLL and the KL in closed form", ("gamma",)),
    "Kim: beta is 2 sigma^2": Claim("MSE + beta KL is sigma^2 = beta / 2", ("gamma",)),
    "Kim: rate and distortion": Claim("the plane of rate and distortion", ("rate-distortion", "surgery")),
    "Kim: constant sigma": Claim("problem 1: a constant sigma; sparse representations", ("gamma",)),
    "Kim: objective with gamma": Claim("the objective with gamma in it", ("gamma",)),
    "Kim: gamma learnt or fixed": Claim("table: gamma learnt or fixed, error and MMD", ("gamma",)),
    "Kim: slices of the loss": Claim("figure 3: slices through the loss as gamma varies", ("gamma",)),
    "Kim: calibrated decoders": Claim("the table of calibrated decoders", ("likelihoods",)),
    "Kim: beta apart from sigma": Claim(
        "problem 2: beta was designed apart from sigma", "stated without figures; here two options: `tfvae train sigma`"
    ),
    "Kim: beta-input model": Claim(
        "the method: optimal sigma, and beta beside it; a beta-input model", ("rate-distortion",)
    ),
    "Kim: FID table": Claim("table: FID of beta-VAEs and of the beta-input model", ("rate-distortion",)),
    "Kim: ELBO in four terms": Claim(
        "direction 2: the ELBO in four terms, an axis for sampling", ("surgery", "second-stage")
    ),
    "Kim: second stage": Claim("direction 3: a second-stage sampler", ("second-stage",)),
    "Kim: aligned posteriors": Claim("figure 2: aggregated posteriors, aligned over beta", ("rate-distortion",)),
    "Kim: prior work": Claim("prior work: YOTO, Multi-Rate VAE", ("rate-distortion",)),
    "Kim: sparse or dense": Claim("is a sparse or a dense representation better for samples?", ("surgery", "gamma")),
    "Haseeb: largest ELBO": Claim(
        "problem 1a: the least KL to p(z|x) is the largest ELBO", "derived; see `test_linear_gaussian.py`"
    ),
    "Haseeb: bound on the KL": Claim("problem 1b: a bound on the KL, and its Lagrangian", ("kl-constrained",)),
    "Haseeb: L samples": Claim(
        "the loss in closed form, with L samples", "`tfvae train elbo --samples L`, `test_objectives.py`"
    ),
    "Haseeb: latent sizes": Claim("problem 2: 2, 10, 25, 50 latents", ("latent-sizes",)),
    "Haseeb: KL weights": Claim("problem 3: KL weight 1, 5, 10, 40 with two latents", ("kl-weights",)),
    "Haseeb: disentanglement": Claim("what a large KL weight does; disentanglement", ("kl-weights",)),
}
