"""Draw a grid of images from a SavedModel that tfvae exported, checked by tfvae before TensorFlow loads it.

python sample_savedmodel.py export/models/my_decoder -n 64 --seed 1 -o grid.png
"""

import argparse
import pathlib

import numpy as np
import tensorflow as tf

from tfvae.errors import TfvaeError
from tfvae.safety.model_loading import load_savedmodel


def find_newest(path):
    """Return the folder itself, or its highest version."""
    path = pathlib.Path(path)
    versions = [folder for folder in path.glob("*") if folder.name.isdigit()]
    return path if (path / "saved_model.pb").exists() else max(versions, key=lambda folder: int(folder.name))


def make_grid(images):
    """Return images [N, H, W, C] as one image, in rows of about sqrt(N)."""
    count, height, width, channels = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    images = np.pad(images, [(0, rows * columns - count), (0, 0), (0, 0), (0, 0)])
    images = images.reshape(rows, columns, height, width, channels)
    return images.swapaxes(1, 2).reshape(rows * height, columns * width, channels)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("path", help="the SavedModel, or the folder of its versions")
    parser.add_argument("-n", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--condition", metavar="X", help="label, beta or kappa of all images, if the model has one")
    parser.add_argument("-o", "--output", default="grid.png")
    parser.add_argument("--trust", action="store_true", help="load it unchecked")
    args = parser.parse_args()

    try:
        sample = load_savedmodel(find_newest(args.path), args.trust).signatures["sample"]
    except TfvaeError as error:
        parser.exit(error.exit_code, f"{error}\n")
    inputs = {"n": args.n, "seed": [args.seed, 0], "temperature": args.temperature}
    condition = sample.structured_input_signature[1].get("condition")
    if (condition is None) != (args.condition is None):
        parser.error("this model has no condition" if condition is None else "this model needs --condition X")
    if condition is not None:
        inputs["condition"] = [condition.dtype.as_numpy_dtype(args.condition)]  # one alone is that of all images
    images = sample(**{key: tf.constant(value) for key, value in inputs.items()})["image"].numpy()
    png = tf.io.encode_png(np.rint(255 * make_grid(images)).astype(np.uint8))
    tf.io.write_file(args.output, png)
    print(f"{args.output}: {len(images)} images {images.shape[1:]}")


if __name__ == "__main__":
    main()
