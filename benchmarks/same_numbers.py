"""Tell whether two versions of tfvae compute the same: hashes of weights and metrics.csv, for settings over all axes.

python benchmarks/same_numbers.py record OLD/bin/tfvae old.json
python benchmarks/same_numbers.py record NEW/bin/tfvae new.json
python benchmarks/same_numbers.py compare old.json new.json
"""

import csv
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

COMMON = "--dataset digits --limit 320 --epochs 2 --batch-size 32 --seed 3"
SETTINGS = {
    "elbo-mlp": "elbo --arch mlp:widths=32,latent=4",
    "geco-mlp": "geco --kappa 2 --arch mlp:widths=32-16,latent=4",
    "geco-constraints": "geco --constraints re<=2;ncc>=0.5 --controller log --arch mlp:widths=32,latent=4",
    "geco-rate-side": "geco --constraints kl<=5 --arch mlp:widths=32,latent=4",
    "geco-kappa-conditioned": "geco --condition kappa:1-4 --arch mlp:widths=32,latent=4,conditioning=film",
    "geco-iwae": "geco-iwae --kappa 2 --k 3 --arch mlp:widths=32,latent=4 --prior mixture:components=3",
    "beta-conv": "beta --beta 2 --warmup 10 --arch conv:widths=8,hidden=16,latent=4 --xla on",
    "beta-conditioned": "beta --condition beta:0.1-10 --arch mlp:widths=32,latent=4,conditioning=mr",
    "sigma-resnet": "sigma --arch resnet:widths=8,hidden=16,latent=4 --xla on",
    "iwae-vamp": (
        "iwae --k 4 --gradient dreg --arch mlp:widths=32,latent=4 --prior vamp:components=4 --binarize dynamic"
    ),
    "miwae": "miwae --m 2 --k 2 --arch mlp:widths=32,latent=4 --binarize static",
    "ciwae-logistic": "ciwae --k 3 --likelihood logistic --arch mlp:widths=32,latent=4",
    "tc-mixture-of-logistics": "tc --likelihood logistic-mixture:components=2 --arch mlp:widths=32,latent=4",
    "info-student": "info --likelihood student-t --dequantize --arch mlp:widths=32,latent=4",
    "convdraw-labels": "elbo --condition labels --arch convdraw:steps=2,hidden=8,latent=1 --binarize dynamic --xla on",
    "ladder-inpaint": "elbo --condition inpaint:left --arch ladder:levels=2,hidden=8,latent=1 --xla on",
    "optimizer-settings": (
        "geco --schedule cosine --rate-warmup 5 --clip-norm 1 --ema 0.9 --arch mlp:widths=32,latent=4"
    ),
    "bfloat16": "elbo --precision bfloat16 --likelihood bitwise --arch mlp:widths=32,latent=4",
}


def describe_run(folder):
    """Return the hash of all arrays of the newest checkpoint and that of metrics.csv without its seconds."""
    newest = sorted((folder / "checkpoints").glob("step-*"))[-1]
    digest = hashlib.sha256()
    with np.load(newest / "state.npz") as arrays:
        for name in sorted(arrays.files):
            digest.update(name.encode() + arrays[name].tobytes())
    with open(folder / "metrics.csv", newline="") as file:
        rows = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    return {"weights": digest.hexdigest()[:16], "metrics": hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]}


def record(program):
    """Train every setting with `program` and return {setting: hashes}."""
    hashes = {}
    for name, words in SETTINGS.items():
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch) / "run"
            command = [program, "train", *words.split(), *COMMON.split(), "--run-dir", str(folder), "--root", scratch]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{name} failed: {done.stderr.splitlines()[-1:]}")
            hashes[name] = describe_run(folder)
            print(name, hashes[name], flush=True)
    return hashes


def main(action, first, second):
    """Record into a file, or compare two files; exit 1 if they differ."""
    if action == "record":
        pathlib.Path(second).write_text(json.dumps(record(first), indent=1))
        return
    old, new = (json.loads(pathlib.Path(path).read_text()) for path in (first, second))
    different = [name for name in old if old[name] != new.get(name)]
    print(f"{len(old) - len(different)} of {len(old)} settings equal to the bit; different: {different or 'none'}")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
