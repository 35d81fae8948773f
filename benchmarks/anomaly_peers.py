"""PyOD's detectors on the images of `anomaly_scores.py`, in an environment of their own: pip install pyod torch tqdm.

python anomaly_peers.py IMAGES.npz     prints {detector: {"seconds", "scores"}}
python anomaly_peers.py --solar-cells SIDE PATH.npz     writes the cells of the package elpv-dataset, resized
"""

import json
import sys
import time

import numpy as np

# VAE has 30 epochs by default, which take four times as long as the training of tfvae that it is compared with.
DETECTORS = {"PyOD AutoEncoder": ("auto_encoder", "AutoEncoder", {}), "PyOD VAE": ("vae", "VAE", {"epoch_num": 10})}


def score(path):
    """Fit each detector to `train`, and print its scores of `test`."""
    with np.load(path) as arrays:
        pixels = {name: np.float32(images).reshape(len(images), -1) / 255 for name, images in arrays.items()}
    found = {}
    for name, (module, kind, options) in DETECTORS.items():
        begun = time.perf_counter()
        detector = getattr(__import__(f"pyod.models.{module}", fromlist=[kind]), kind)(verbose=0, **options)
        detector.fit(pixels["train"])
        seconds = time.perf_counter() - begun
        found[name] = {"seconds": seconds, "scores": detector.decision_function(pixels["test"]).astype(float).tolist()}
    print(json.dumps(found))


def write_solar_cells(side, path):
    """Write pictures of solar cells as bytes [N, side, side, 1], and how likely each is defective."""
    from elpv_dataset.utils import load_dataset
    from PIL import Image

    images, probabilities, _ = load_dataset()
    small = [np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BOX)) for image in images]
    np.savez(path, images=np.stack(small)[..., None], probabilities=probabilities)


if __name__ == "__main__":
    if sys.argv[1] == "--solar-cells":
        write_solar_cells(int(sys.argv[2]), sys.argv[3])
    else:
        score(sys.argv[1])
