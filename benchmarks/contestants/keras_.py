"""Stock Keras: the same model under ``model.fit`` on a tf.data pipeline, with Keras' own choice of compilation."""

import time

import keras
import tensorflow as tf

import tfvae
from contestants.cases import describe_epoch, load_images
from contestants.tfvae_ import LIKELIHOOD, count_parameters


def train(case, path, epochs):
    """Train the case, and return the result of each epoch."""
    model = tfvae.build("elbo", likelihood=LIKELIHOOD, arch=case.arch)
    model.compile(keras.optimizers.Adam(1e-3))
    options = tf.data.Options()
    options.autotune.enabled = False  # or the end of fit waits for a thread of the pipeline
    images, results = load_images(path, case), []
    data = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images)).batch(case.batch, drop_remainder=True)
    for _ in range(epochs):
        start = time.perf_counter()
        logs = model.fit(data.with_options(options), epochs=1, verbose=0, shuffle=False).history
        loss = logs["sq_err"][0] / 2 + logs["rate"][0]
        results.append(describe_epoch(time.perf_counter() - start, loss, count_parameters(model)))
    return results
