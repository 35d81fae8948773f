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

from contestants.cases import epoch, load, timed
from contestants.torch_ import Model, parameters


class Encoder(BaseEncoder):
    def __init__(self, case, net):
        super().__init__()
        self.net, self.latent_dim, self.flat = net, case.latent, case.kind == "mlp"

    def forward(self, x):
        mean, log_var = self.net(x.flatten(1) if self.flat else x).chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_var)


class BoundedEncoder(Encoder):
    """log stddev = 8 tanh(raw / 8), which weights that tfvae trained expect."""

    def forward(self, x):
        found = super().forward(x)
        return ModelOutput(embedding=found.embedding, log_covariance=16.0 * torch.tanh(found.log_covariance / 8.0))


class Decoder(BaseDecoder):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, z):
        return ModelOutput(reconstruction=self.net(z).reshape(-1, 1, 28, 28))


class Clock(TrainingCallback):
    """Seconds and loss of each epoch."""

    def __init__(self):
        self.seconds, self.losses = [], []

    def on_epoch_begin(self, *_, **__):
        self.seconds.append(time.perf_counter())

    def on_epoch_end(self, *_, **__):
        self.seconds[-1] = time.perf_counter() - self.seconds[-1]

    def on_log(self, _, logs, **__):
        self.losses.append(float(logs["train_epoch_loss"]))


def build(case, encoder=Encoder):
    """pythae's model."""
    ours = Model(case)
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=case.latent)
    return VAE(config, encoder(case, ours.encoder), Decoder(ours.decoder))


def pixels(path, case):
    return torch.from_numpy(load(path, case).reshape(-1, 1, 28, 28)).float() / 255.0


def train(case, path, epochs):
    data, model, clock = pixels(path, case), build(case), Clock()
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(output_dir=folder, num_epochs=epochs, learning_rate=1e-3,
                                   per_device_train_batch_size=case.batch, no_cuda=True)  # fmt: skip
        dataset = BaseDataset(data, torch.zeros(len(data)))
        BaseTrainer(model, dataset, training_config=config, callbacks=[clock]).train()
    return [epoch(*pair, parameters(model)) for pair in zip(clock.seconds, clock.losses)]


def nll(case, path, samples):
    """{seconds, nll of each image} by `get_nll`, 100 draws at a time, for the weights and images in `path` (MLP)."""
    model, data = build(case, BoundedEncoder).eval(), pixels(path, case)
    with np.load(path) as archive, torch.no_grad():
        for i, parameter in enumerate([*model.encoder.parameters(), *model.decoder.parameters()]):
            parameter.copy_(torch.from_numpy(archive[f"weight_{i:02}"].T))

    @torch.no_grad()  # more than its documentation asks for, in its favour
    def scored():
        return [-model.get_nll(image[None], n_samples=samples, batch_size=100) for image in data]

    model.get_nll(data[:1], n_samples=200, batch_size=100)
    seconds, found = timed(scored)
    return {"seconds": seconds, "nll": [float(value) for value in found]}
