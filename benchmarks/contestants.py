"""The contestants of train_speed.py: each trains the same MLP VAE on the same bytes and prints its seconds per epoch.

    PYTHON benchmarks/contestants.py NAME WIDTHS LATENT BATCH EPOCHS IMAGES.npy

Loss: |x - g(z)|^2 / 2 + KL, sigmoid output, Adam 1e-3, float32, a new permutation each epoch. The first epoch, with the
compilation, is printed too; the caller leaves it out.
"""

import json
import sys
import tempfile
import time

import numpy as np


def orders(count, batch, epochs):
    """A permutation for each epoch, whole batches only: int64 [steps, batch]."""
    for epoch in range(epochs):
        order = np.random.default_rng([0, epoch]).permutation(count)
        yield order[: count // batch * batch].reshape(-1, batch)


def torch_model(widths, latent):
    import torch

    def stack(sizes):
        layers = []
        for a, b in zip(sizes[:-1], sizes[1:]):
            layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
        return layers[:-1]

    class VAE(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.Sequential(*stack([784, *widths, 2 * latent]))
            self.decoder = torch.nn.Sequential(*stack([latent, *reversed(widths), 784]), torch.nn.Sigmoid())

        def forward(self, x):
            mean, log_var = self.encoder(x).chunk(2, dim=1)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            error = 0.5 * (x - self.decoder(z)).square().sum(1)
            kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(1)
            return (error + kl).mean()

    return VAE()


def torch_train(widths, latent, batch, epochs, images, compiled):
    """Hand-written PyTorch: eager, or torch.compile with the fused Adam."""
    import torch

    torch.set_num_threads(2)
    model = torch_model(widths, latent)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=compiled or None)
    forward = torch.compile(model) if compiled else model
    data = torch.from_numpy(images.reshape(-1, 784))
    for order in orders(len(images), batch, epochs):
        begun, total = time.perf_counter(), torch.zeros(())
        for rows in torch.from_numpy(order):
            loss = forward(data[rows].float() / 255.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        float(total)
        yield time.perf_counter() - begun


def pythae_train(widths, latent, batch, epochs, images):
    """pythae's own trainer on its VAE class with the same networks; its reconstruction loss is the same."""
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    torch.set_num_threads(2)
    ours = torch_model(widths, latent)

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.net, self.latent_dim = ours.encoder, latent

        def forward(self, x):
            mean, log_var = self.net(x.flatten(1)).chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_var)

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.net = ours.decoder

        def forward(self, z):
            return ModelOutput(reconstruction=self.net(z).reshape(-1, 1, 28, 28))

    class Clock(TrainingCallback):
        def __init__(self):
            self.marks = []

        def on_epoch_begin(self, *_, **__):
            self.marks.append(time.perf_counter())

        def on_epoch_end(self, *_, **__):
            self.marks[-1] = time.perf_counter() - self.marks[-1]

    data = torch.from_numpy(images.reshape(-1, 1, 28, 28)).float() / 255.0
    model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=latent), Encoder(), Decoder())
    clock = Clock()
    config = BaseTrainerConfig(output_dir=tempfile.mkdtemp(), num_epochs=epochs, learning_rate=1e-3,
                               per_device_train_batch_size=batch, no_cuda=True)  # fmt: skip
    dataset = BaseDataset(data, torch.zeros(len(data)))
    BaseTrainer(model, dataset, training_config=config, callbacks=[clock]).train()
    yield from clock.marks


def jax_train(widths, latent, batch, epochs, images):
    """An epoch as one jitted lax.scan, with optax's Adam."""
    import jax
    import jax.numpy as jnp
    import optax

    def init(key, sizes):
        keys = jax.random.split(key, len(sizes) - 1)
        scaled = [jax.random.normal(k, (a, b)) * (2 / (a + b)) ** 0.5 for k, a, b in zip(keys, sizes[:-1], sizes[1:])]
        return [(w, jnp.zeros(w.shape[1])) for w in scaled]

    def net(layers, h):
        for w, b in layers[:-1]:
            h = jax.nn.relu(h @ w + b)
        return h @ layers[-1][0] + layers[-1][1]

    def loss(params, x, key):
        mean, log_var = jnp.split(net(params[0], x), 2, axis=1)
        z = mean + jnp.exp(0.5 * log_var) * jax.random.normal(key, mean.shape)
        error = 0.5 * jnp.square(x - jax.nn.sigmoid(net(params[1], z))).sum(1)
        return (error + 0.5 * (mean**2 + jnp.exp(log_var) - log_var - 1).sum(1)).mean()

    optimizer = optax.adam(1e-3)
    key = jax.random.key(0)
    params = (init(key, [784, *widths, 2 * latent]), init(key, [latent, *reversed(widths), 784]))
    state, data = optimizer.init(params), jnp.asarray(images.reshape(-1, 784))

    @jax.jit
    def run(params, state, data, order, key):
        def step(carry, rows):
            params, state, key = carry
            key, own = jax.random.split(key)
            value, grads = jax.value_and_grad(loss)(params, data[rows] / 255.0, own)
            updates, state = optimizer.update(grads, state)
            return (optax.apply_updates(params, updates), state, key), value

        carry, values = jax.lax.scan(step, (params, state, key), order)
        return *carry, values.sum()

    for order in orders(len(images), batch, epochs):
        begun = time.perf_counter()
        params, state, key, total = run(params, state, data, jnp.asarray(order), key)
        float(total)
        yield time.perf_counter() - begun


def tfvae_model(widths, latent):
    from tfvae.environment import import_tensorflow

    import_tensorflow()
    import keras

    import tfvae

    arch = f"mlp:widths={'-'.join(map(str, widths))},latent={latent}"
    model = tfvae.build("elbo", likelihood="gaussian:sigma=1.0", arch=arch)
    model.compile(keras.optimizers.Adam(1e-3))
    model.optimizer.build(model.trainable_variables)
    return model


def tfvae_train(widths, latent, batch, epochs, images):
    """The engine that `tfvae train` runs: metrics, multipliers and the guard against NaN included."""
    model = tfvae_model(widths, latent)
    import tensorflow as tf

    from tfvae.engine import Engine

    engine, data = Engine(model, batch), tf.constant(images)
    for order in orders(len(images), batch, epochs):
        begun = time.perf_counter()
        list(engine.blocks(data, order.astype(np.int32)))
        yield time.perf_counter() - begun


def keras_train(widths, latent, batch, epochs, images):
    """Stock ``model.fit`` on a tf.data pipeline, with Keras' own choice of compilation."""
    model = tfvae_model(widths, latent)
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False  # or the end of fit waits for a thread of the pipeline
    data = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images)).batch(batch, drop_remainder=True)
    for _ in range(epochs):
        begun = time.perf_counter()
        model.fit(data.with_options(options), epochs=1, verbose=0, shuffle=False)
        yield time.perf_counter() - begun


CONTESTANTS = {
    "tfvae": tfvae_train,
    "keras fit": keras_train,
    "pytorch eager": lambda *args: torch_train(*args, compiled=False),
    "pytorch compiled": lambda *args: torch_train(*args, compiled=True),
    "jax scan": jax_train,
    "pythae": pythae_train,
}

if __name__ == "__main__":
    name, widths, latent, batch, epochs, path = sys.argv[1:]
    seconds = CONTESTANTS[name](
        [int(n) for n in widths.split("-")], int(latent), int(batch), int(epochs), np.load(path)
    )
    print(json.dumps(list(seconds)))
