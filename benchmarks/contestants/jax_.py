"""JAX with optax's Adam: an epoch as one jitted lax.scan.

Convolutions it trains too slowly on a CPU to take part, a jitted step at a time as well: not 20 steps in 90 s.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from contestants.cases import describe_epoch, load_images, measure_rates, permute_epochs

LAYOUT = ("NHWC", "HWIO", "NHWC")


def initialise_network(key, layers):
    """Return [(kernel, bias)] of each layer, Glorot uniform."""
    glorot, results = jax.nn.initializers.glorot_uniform(), []
    for layer, own in zip(layers, jax.random.split(key, len(layers))):
        side = () if layer.op == "dense" else (layer.kernel, layer.kernel)
        results.append((glorot(own, (*side, layer.inputs, layer.outputs)), jnp.zeros(layer.outputs)))
    return results


def apply_layer(layer, w, h):
    """Return the layer's output without its bias."""
    if layer.op == "dense":
        return h.reshape(len(h), -1) @ w
    h = h.reshape(len(h), *h.shape[1:] if h.ndim == 4 else (layer.side, layer.side, layer.inputs))
    if layer.op == "up":
        return jax.lax.conv_transpose(h, w, (2, 2), "SAME", dimension_numbers=LAYOUT)
    stride = (1, 1) if layer.op == "same" else (2, 2)
    return jax.lax.conv_general_dilated(h, w, stride, "SAME", dimension_numbers=LAYOUT)


def apply_network(layers, params, h):
    """Return the network's output; ReLU between layers."""
    for i, (layer, (w, b)) in enumerate(zip(layers, params)):
        h = apply_layer(layer, w, jax.nn.relu(h) if i else h) + b
    return h


def train(case, path, epochs):
    """Train the case, and return the result of each epoch."""
    (encoder, decoder), optimizer = case.layers, optax.adam(1e-3)

    def loss(params, x, key):
        mean, log_var = jnp.split(apply_network(encoder, params[0], x), 2, axis=1)
        z = mean + jnp.exp(0.5 * log_var) * jax.random.normal(key, mean.shape)
        logits = apply_network(decoder, params[1], z).reshape(x.shape)
        error = 0.5 * jnp.square(x - jax.nn.sigmoid(logits)).reshape(len(x), -1).sum(1)
        return (error + 0.5 * (mean**2 + jnp.exp(log_var) - log_var - 1).sum(1)).mean()

    @jax.jit
    def whole(carry, order, data):
        def step(carry, rows):
            params, state, key = carry
            key, own = jax.random.split(key)
            value, grads = jax.value_and_grad(loss)(params, data[rows] / 255.0, own)
            updates, state = optimizer.update(grads, state)
            return (optax.apply_updates(params, updates), state, key), value

        carry, values = jax.lax.scan(step, carry, order)
        return carry, values.sum()

    keys = jax.random.split(jax.random.key(0), 3)
    params = initialise_network(keys[0], encoder), initialise_network(keys[1], decoder)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    carry, images = (params, optimizer.init(params), keys[2]), load_images(path, case)
    data, results = jnp.asarray(images.reshape(len(images), -1)), []
    for order in permute_epochs(case, epochs):
        start = time.perf_counter()
        carry, total = whole(carry, jnp.asarray(order), data)
        mean = float(total) / len(order)
        results.append(describe_epoch(time.perf_counter() - start, mean, count))
    return results


def sample(case, path, batch, calls):
    """Return images/s of decoding draws from the prior."""
    decoder = case.layers[1]
    params, key = initialise_network(jax.random.key(0), decoder), jax.random.key(1)

    @jax.jit
    def draw(params, key):
        key, own = jax.random.split(key)
        return jax.nn.sigmoid(apply_network(decoder, params, jax.random.normal(own, (batch, case.latent)))), key

    def fetched():
        nonlocal key
        images, key = draw(params, key)
        return np.asarray(images)

    return measure_rates(fetched, batch, calls)
