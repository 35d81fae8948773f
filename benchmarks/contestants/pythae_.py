"""pythae's own trainer and estimator on its VAE class, with the networks of torch_.py; its loss is the same."""

import tempfile
import time

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback

from contestants.cases import describe_epoch, load_images, time_call
from contestants.torch_ import Model, count_parameters


class Encoder(BaseEncoder):
    """An encoder as pythae wants it."""

    def __init__(self, case, net):
        super().__init__()
        self.net, self.latent_dim, self.flat = net, case.latent, case.kind == "mlp"

    def forward(self, x):
        mean, log_var = self.net(x.flatten(1) if self.flat else x).chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_var)


class BoundedEncoder(Encoder):
    """An encoder with log stddev = 8 tanh(raw / 8), as in tfvae, whose weights it gets."""

    def forward(self, x):
        outputs = super().forward(x)
        return ModelOutput(embedding=outputs.embedding, log_covariance=16.0 * torch.tanh(outputs.log_covariance / 8.0))


class Decoder(BaseDecoder):
    """A decoder as pythae wants it."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, z):
        return ModelOutput(reconstruction=self.net(z).reshape(-1, 1, 28, 28))


class Clock(TrainingCallback):
    """A callback that records seconds and loss of each epoch."""

    def __init__(self):
        self.seconds, self.losses = [], []

    def on_epoch_begin(self, *_, **__):
        self.seconds.append(time.perf_counter())

    def on_epoch_end(self, *_, **__):
        self.seconds[-1] = time.perf_counter() - self.seconds[-1]

    def on_log(self, _, logs, **__):
        self.losses.append(float(logs["train_epoch_loss"]))


def build(case, encoder=Encoder):
    """Return pythae's model."""
    ours = Model(case)
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=case.latent)
    return VAE(config, encoder(case, ours.encoder), Decoder(ours.decoder))


def load_pixels(path, case):
    """Return the images of an epoch as floats in [0, 1]."""
    return torch.from_numpy(load_images(path, case).reshape(-1, 1, 28, 28)).float() / 255.0


def train(case, path, epochs):
    """Train the case, and return the result of each epoch."""
    data, model, clock = load_pixels(path, case), build(case), Clock()
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=epochs,
            learning_rate=1e-3,
            per_device_train_batch_size=case.batch,
            no_cuda=True,
        )
        dataset = BaseDataset(data, torch.zeros(len(data)))
        BaseTrainer(model, dataset, training_config=config, callbacks=[clock]).train()
    return [describe_epoch(*pair, count_parameters(model)) for pair in zip(clock.seconds, clock.losses)]


def nll(case, path, samples):
    """Return {seconds, nll of each image} by `get_nll`, 100 draws at a time, for an MLP in `path`."""
    model, data = build(case, BoundedEncoder).eval(), load_pixels(path, case)
    with np.load(path) as archive, torch.no_grad():
        for i, parameter in enumerate([*model.encoder.parameters(), *model.decoder.parameters()]):
            parameter.copy_(torch.from_numpy(archive[f"weight_{i:02}"].T))

    @torch.no_grad()  # more than its documentation asks for, in its favour
    def score_images():
        return [-model.get_nll(image[None], n_samples=samples, batch_size=100) for image in data]

    model.get_nll(data[:1], n_samples=200, batch_size=100)
    seconds, values = time_call(score_images)
    return {"seconds": seconds, "nll": [float(value) for value in values]}
