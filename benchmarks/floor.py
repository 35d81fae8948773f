"""The physical floor of a training step: the bare matrix products and convolutions that it cannot do without.

    python benchmarks/floor.py [--rounds 7] [--case mlp-32 mlp-200 conv] [--dry-run]

For each layer the forward product and those of the gradients (of the weights, and of the input except in the first
layer), at the case's batch size and in float32: by XLA, dense ones in one program of many steps, and by TensorFlow's
own kernels; the faster of the two is the floor. Beside it Adam's arithmetic alone, and tfvae's measured step. All in
one process, in turn; medians. Writes results/floor.{md,csv}.
"""

import argparse
import statistics
import time

import numpy as np
from common import format_result_table, tf, write_results
from contestants.cases import CASES

from tfvae import datasets
from tfvae.config import Config
from tfvae.training import trainer
from tfvae.training.engine import Engine, epoch_order, place_images

GFLOP = 1e9


def build_operands(layer, batch):
    """Return input, weights and gradient of the output of a layer."""

    def normal(*shape):
        return tf.random.stateless_normal(shape, (0, len(shape)), stddev=0.01)

    if layer.op == "dense":
        return normal(batch, layer.inputs), normal(layer.inputs, layer.outputs), normal(batch, layer.outputs)
    small, large = layer.side, layer.side * (1 if layer.op == "same" else 2)
    first, last = (small, large) if layer.op == "up" else (large, small)
    channels = (layer.outputs, layer.inputs) if layer.op == "up" else (layer.inputs, layer.outputs)
    kernel = normal(layer.kernel, layer.kernel, *channels)
    return normal(batch, first, first, layer.inputs), kernel, normal(batch, last, last, layer.outputs)


def compute_products(layer, x, w, d, first):
    """Return the layer's products: forward, of the weights' gradient and, unless it is the `first`, of the input's."""
    if layer.op == "dense":
        results = [tf.matmul(x, w), tf.matmul(x, d, transpose_a=True)]
        return results if first else [*results, tf.matmul(d, w, transpose_b=True)]
    stride = 1 if layer.op == "same" else 2
    small, large = (x, d) if layer.op == "up" else (d, x)
    options = {"strides": [1, stride, stride, 1], "padding": "SAME"}
    narrow = tf.raw_ops.Conv2D(input=large, filter=w, **options)
    kernel = tf.raw_ops.Conv2DBackpropFilter(input=large, filter_sizes=w.shape, out_backprop=small, **options)
    wide = tf.raw_ops.Conv2DBackpropInput(input_sizes=large.shape, filter=w, out_backprop=small, **options)
    forward, backward = (wide, narrow) if layer.op == "up" else (narrow, wide)
    return [forward, kernel] if first else [forward, kernel, backward]


def build_product_step(case):
    """Return a function scale -> scalar that needs every product of a step, and its operands.

    `scale` keeps XLA from computing the products only once.
    """
    layers = case.calls
    parts = [build_operands(layer, case.batch) for layer in layers]

    def step(scale, *parts):
        outputs = []
        for i, (layer, (x, w, d)) in enumerate(zip(layers, parts)):
            outputs += compute_products(layer, x * scale, w, d * scale, first=i == 0)
        return tf.add_n([tf.reshape(output, [-1])[0] for output in outputs])

    return step, parts


def build_adam_step(case):
    """Return a function that does Adam's arithmetic on variables of the right sizes, and its gradients."""
    sizes = [layer.inputs * layer.outputs * layer.kernel**2 for layer in sum(case.layers, [])]
    p, m, v = ([tf.Variable(tf.zeros(size)) for size in sizes] for _ in range(3))
    gradients = [tf.fill([size], 1e-3) for size in sizes]

    def step(scale, *gradients):
        for weights, first, second, g in zip(p, m, v, gradients):
            first.assign_add(0.1 * (g * scale - first))
            second.assign_add(0.001 * (tf.square(g * scale) - second))
            weights.assign_sub(1e-3 * first / (tf.sqrt(second) + 1e-7))
        return weights[0]

    return step, gradients


def repeat_step(step, args, steps, loop, jit=True):
    """Return a call that runs `step` so many times: inside one compiled loop, or one program a step."""

    def whole(*args):
        def body(i, total):
            return i + 1, total + step(1.0 + 1e-30 * total, *args)

        return tf.while_loop(lambda i, _: i < steps, body, (0, 0.0))[1]

    run = tf.function(whole if loop else step, jit_compile=jit, autograph=False)
    if loop:
        return lambda: run(*args).numpy()
    return lambda: [run(tf.constant(1.0), *args) for _ in range(steps)][-1].numpy()


def build_tfvae_steps(case, steps):
    """Return a call of tfvae's engine on as many steps, as `tfvae train` sets it up."""
    config = Config(arch=case.arch, likelihood="gaussian:sigma=1.0", batch_size=case.batch)
    images = datasets.load("fashion_mnist", "train")[0]
    model = trainer.build_model(config, images.shape[1:])
    trainer.compile_model(model, config, len(images))
    engine, data = Engine(model, case.batch), place_images(images)
    order = np.concatenate([epoch_order(0, epoch, len(images), case.batch) for epoch in range(9)])[:steps]
    return lambda: list(engine.train_blocks(data, order, count=1))


def main(rounds, cases, dry):
    """Time all cases, and write the table."""
    rows = []
    for name in cases:
        case, loop = CASES[name], CASES[name].kind == "mlp"
        steps = 2 if dry else max(10, int(100e9 / case.flops))
        calls = {
            "xla": repeat_step(*build_product_step(case), steps, loop),
            "kernels": repeat_step(*build_product_step(case), steps, False, jit=False),
            "adam": repeat_step(*build_adam_step(case), steps, True),
            "tfvae": build_tfvae_steps(case, steps),
        }
        seconds = {key: [] for key in calls}
        for turn in range((1 if dry else rounds) + 1):  # the first compiles
            for key, call in calls.items():
                start = time.perf_counter()
                call()
                seconds[key] += [time.perf_counter() - start] * (turn > 0)
        xla, kernels, adam, step = (1000 * statistics.median(values) / steps for values in seconds.values())
        floor = min(xla, kernels)
        row = {"case": name, "XLA, ms": xla, "kernels, ms": kernels, "floor, ms": floor}
        row |= {"GFLOP/s": case.flops / GFLOP / floor * 1000, "Adam, ms": adam, "tfvae step, ms": step}
        rows.append(row | {"step / floor": step / floor, "step / (floor + Adam)": step / (floor + adam)})
    print(format_result_table(rows, list(rows[0]))) if dry else write_results("floor", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--case", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--dry-run", action="store_true", help="two steps, to see that all runs; keeps no results")
    args = parser.parse_args()
    main(args.rounds, args.case, args.dry_run)
