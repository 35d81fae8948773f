"""How well `tfvae score` finds a class that was left out of the training, beside PyOD's AutoEncoder and VAE.

python benchmarks/anomaly_scores.py [mnist] [fashion_mnist] [solar_cells] [--peers PYTHON]

Of MNIST and Fashion-MNIST a small model is trained for each class on 9,000 images of the nine others; of 3,000 test
images that class is the anomaly. Of solar cells it is trained on functional ones alone. PYTHON is the interpreter of an
environment with pyod, torch, tqdm and elpv-dataset; without it only tfvae is measured. The rows of a case are kept as
soon as it is measured, and the next call goes on behind the last one: results/anomaly_scores.csv, its means in .md.
The false alarms of thresholds calibrated on 1,000 normal test images, 20 times drawn anew, beside class 0 left out, are
in results/anomaly_scores-alarms-DATA.csv and .md.
"""

import argparse
import csv
import json
import pathlib
import subprocess
import tempfile
import time

import numpy as np
from common import RESULTS, write_results

from tfvae import datasets
from tfvae.evaluation.detection_quality import estimate_auroc
from tfvae.inference.calibration import Calibration
from tfvae.inference.codes import open_inputs
from tfvae.inference.image_scores import MEASURED, ScoreSettings, iterate_scores
from tfvae.inference.scores import KINDS, Ranking
from tfvae.runtime.random_streams import SeedWord
from tfvae.runtime.tables import format_csv
from tfvae.training import trainer

HERE = pathlib.Path(__file__).resolve().parent
NAME = "anomaly_scores"
COLUMNS = ("data", "anomaly", "method", "auroc", "seconds")
TRAINING, HELD_OUT, TESTED = 9000, 1000, 3000
DIGITS = {"objective": "elbo", "arch": "mlp:widths=256-128,latent=16", "epochs": 8, "batch_size": 64}
CELLS = {"objective": "elbo", "arch": "conv:widths=16-32-32,hidden=128,latent=32", "epochs": 40, "batch_size": 64}
SIDE = 64  # of solar cells
RATES, SPLITS, CALIBRATION = (0.01, 0.05, 0.1), 20, 1000


def read_rows():
    """Return the rows that are measured already."""
    path = RESULTS / f"{NAME}.csv"
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [{**row, "auroc": float(row["auroc"]), "seconds": float(row["seconds"])} for row in csv.DictReader(file)]


def load_left_out_class(name, left_out):
    """Return images to train on, others of the same classes, test images, and which of these are anomalous."""
    generator = np.random.default_rng(left_out)
    images, labels = datasets.load(name, "train")
    chosen = generator.permutation(np.flatnonzero(labels != left_out))[: TRAINING + HELD_OUT]
    test_images, test_labels = datasets.load(name, "test")
    tested = generator.permutation(len(test_images))[:TESTED]
    train, held = images[chosen[:TRAINING]], images[chosen[TRAINING:]]
    return train, held, test_images[tested], test_labels[tested] == left_out


def load_solar_cells(python):
    """Return functional cells to train on, others, and functional and surely defective ones to score."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/cells.npz"
        subprocess.run([python, str(HERE / "anomaly_peers.py"), "--solar-cells", str(SIDE), path], check=True)
        with np.load(path) as arrays:
            images, probabilities = arrays["images"], arrays["probabilities"]
    functional = np.random.default_rng(0).permutation(np.flatnonzero(probabilities == 0))
    train, held, tested = np.split(functional, [900, 1100])
    defective = np.flatnonzero(probabilities == 1)
    test = images[np.concatenate([tested, defective])]
    return images[train], images[held], test, np.arange(len(test)) >= len(tested)


def measure_tfvae(images, settings, folder):
    """Train a model; return the scores of test images, of held-out ones, by kind, and the seconds of training."""
    train, held, test, _ = images
    np.savez(f"{folder}/images.npz", x_train=train, x_test=held)
    begun = time.perf_counter()
    run = trainer.train(root=folder, dataset=f"npz:{folder}/images.npz", **settings)
    seconds = time.perf_counter() - begun
    model, measured = trainer.load_run(run), []
    for given, word in ((test, SeedWord.SCORES), (held, SeedWord.CALIBRATION)):
        parts = list(iterate_scores(run, model, open_inputs(run, given, "test", 0), ScoreSettings(), word))
        measured.append({name: np.concatenate([part.kinds[name] for part in parts]) for name in MEASURED})
    return *measured, seconds


def rank(measured, calibration_scores):
    """Return {kind: scores}, higher is more anomalous."""
    calibration = Calibration("held-out images", calibration_scores)
    compared = measured | calibration.reference.compare(measured)
    return {kind: -compared[kind] if kind in ("elbo", "bound") else compared[kind] for kind in KINDS}


def measure_peers(python, images, folder):
    """Return {detector: {"seconds", "scores"}}."""
    np.savez(f"{folder}/peers.npz", train=images[0], test=images[2])
    words = [python, str(HERE / "anomaly_peers.py"), f"{folder}/peers.npz"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure_alarms(data, anomaly, measured, is_anomalous):
    """Return the share of normal test images above thresholds of 1,000 others, for each rate and kind of score."""
    normal = {name: values[~is_anomalous] for name, values in measured.items()}
    count, rows = len(normal["bound"]), []
    for kind in KINDS:
        for rate in RATES:
            shares = []
            for split in range(SPLITS):
                order = np.random.default_rng(split).permutation(count)
                known, new = ({n: v[rows_] for n, v in normal.items()} for rows_ in np.split(order, [CALIBRATION]))
                ranking = Ranking(Calibration("normal images", known), kind, rate)
                shares.append(np.mean(rank(new, known)[kind] > ranking.threshold))
            figures = {"asked": rate, "mean": np.mean(shares), "least": min(shares), "most": max(shares)}
            rows.append({"data": data, "left out": anomaly, "score": kind} | figures)
    return rows


def measure_case(data, anomaly, images, settings, python, rows):
    """Add the rows of a case, where they are missing, to the file."""
    have = {row["method"] for row in rows if (row["data"], row["anomaly"]) == (data, anomaly)}
    is_anomalous, found, alarms = images[3], {}, []
    with tempfile.TemporaryDirectory() as folder:
        if "tfvae excess" not in have:
            measured, held, seconds = measure_tfvae(images, settings, folder)
            found |= {f"tfvae {kind}": (scores, seconds) for kind, scores in rank(measured, held).items()}
            alarms = measure_alarms(data, anomaly, measured, is_anomalous) if anomaly == "0" else []
        if python and not any(name.startswith("PyOD") for name in have):
            peers = measure_peers(python, images, folder)
            found |= {name: (np.array(one["scores"]), one["seconds"]) for name, one in peers.items()}
    for method, (scores, seconds) in found.items():
        auroc = estimate_auroc(scores[~is_anomalous], scores[is_anomalous]).value
        rows.append(dict(zip(COLUMNS, (data, anomaly, method, round(auroc, 4), round(seconds, 1)))))
        print(rows[-1], flush=True)
    (RESULTS / f"{NAME}.csv").write_bytes(format_csv(rows))
    return alarms


def summarize(rows):
    """Return a row a method: the mean AUROC over the cases of each data set, and the mean seconds of training."""
    table = []
    for method in dict.fromkeys(row["method"] for row in rows):
        own, line = [row for row in rows if row["method"] == method], {"method": method}
        for data in dict.fromkeys(row["data"] for row in rows):
            values = [row["auroc"] for row in own if row["data"] == data]
            line |= {data: f"{np.mean(values):.3f}" if values else "", f"{data} cases": len(values)}
        table.append(line | {"seconds": np.mean([row["seconds"] for row in own])})
    return table


def main():
    """Measure what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", default=["mnist", "fashion_mnist"])
    parser.add_argument("--peers", default="", metavar="PYTHON")
    args = parser.parse_args()
    rows, alarms = read_rows(), []
    for data in args.data:
        if data == "solar_cells":
            measure_case(data, "defective", load_solar_cells(args.peers), CELLS, args.peers, rows)
            continue
        for left_out in range(10):
            images = load_left_out_class(data, left_out)
            alarms += measure_case(data, str(left_out), images, DIGITS, args.peers, rows)
            if alarms and left_out == 0:
                write_results(f"{NAME}-alarms-{data}", alarms)
                alarms = []
    (RESULTS / f"{NAME}.md").unlink(missing_ok=True)
    csv_bytes = (RESULTS / f"{NAME}.csv").read_bytes()
    write_results(NAME, summarize(rows))
    (RESULTS / f"{NAME}.csv").write_bytes(csv_bytes)  # each case, of which the other file has the means


if __name__ == "__main__":
    main()
