"""The table of likelihoods p(x|z). A new one is a class in one of the two families and a line here."""

from tfvae.distributions.continuous_likelihoods import ContinuousBernoulli, Gaussian, Laplace, StudentT
from tfvae.distributions.discrete_likelihoods import Bernoulli, Bitwise, Categorical, Logistic, LogisticMixture

LIKELIHOODS = {
    "bernoulli": Bernoulli,
    "continuous-bernoulli": ContinuousBernoulli,
    "gaussian": Gaussian,
    "student-t": StudentT,
    "laplace": Laplace,
    "logistic": Logistic,
    "logistic-mixture": LogisticMixture,
    "categorical": Categorical,
    "bitwise": Bitwise,
}
