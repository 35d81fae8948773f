"""The spec of a small part for every entry of the four tables, shared by several tests."""

OBJECTIVES = {
    "elbo": "elbo",
    "beta": "beta:beta=0.5",
    "sigma": "sigma",
    "geco": "geco:kappa=1.5",
    "iwae": "iwae:k=2",
    "miwae": "miwae:m=2,k=2",
    "ciwae": "ciwae:k=2",
    "geco-iwae": "geco-iwae:kappa=1.5,k=2",
    "tc": "tc:beta=2",
    "info": "info:mmd=5",
}
LIKELIHOODS = {
    "bernoulli": "bernoulli",
    "continuous-bernoulli": "continuous-bernoulli",
    "gaussian": "gaussian",
    "student-t": "student-t",
    "laplace": "laplace",
    "logistic": "logistic",
    "logistic-mixture": "logistic-mixture:components=2",
    "categorical": "categorical",
    "bitwise": "bitwise",
}
ARCHITECTURES = {
    "mlp": "mlp:widths=16,latent=3",
    "conv": "conv:widths=4-8,hidden=16,latent=3",
    "resnet": "resnet:widths=4,hidden=16,latent=3",
    "convdraw": "convdraw:steps=2,hidden=4,latent=1",
    "ladder": "ladder:levels=2,hidden=4,latent=1",
}
PRIORS = {"normal": "normal", "mixture": "mixture:components=3", "vamp": "vamp:components=3"}
