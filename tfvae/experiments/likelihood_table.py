"""Calibrated decoders and other likelihoods in bits per dimension, on Fashion-MNIST.

The ELBO with a fixed, learnt, optimal, per-image or per-pixel variance (Rybkin et al., 2021) and with other densities:
784-512-256-32 and its mirror image, 15 epochs (5 of the mixture, whose density costs most), batch 128, Adam 1e-3,
60,000 training images, dequantised in training; scored on all 10,000 test images, bounds from 10 draws. Continuous
densities score (x + u) / 256, discrete ones the byte: bits/dim are of 8-bit data in every row.
"""

LIKELIHOODS = {
    "optimal": "gaussian:sigma=optimal",
    "shared": "gaussian:sigma=shared",
    "sigma 1": "gaussian:sigma=1.0",
    "per-pixel": "gaussian:sigma=per-pixel",
    "per-image": "gaussian:sigma=per-image",
    "student-t": "student-t",
    "laplace": "laplace",
    "logistic": "logistic",
    "logistic-mixture": "logistic-mixture:components=3",
    "bitwise": "bitwise",
}
FIXED = {"objective": "sigma", "dataset": "fashion_mnist", "dequantize": True, "epochs": 15}
FEWER_EPOCHS = {"logistic-mixture": 5}  # epochs
DRAWS = 10
FRECHET = "frechet[lenet-fashion_mnist]"
PICTURES = 10_000
# the table of Rybkin et al. (2021) that Kim quotes, column SVHN: -log p <, FID
PUBLISHED = {
    "optimal": (-3333, 27.25),
    "shared": (-3349, 22.25),
    "sigma 1": (2184, 112.5),
    "per-pixel": (-3592, 114.7),
    "per-image": (None, 26.28),
    "student-t": (-3659, 70.4),
    "logistic-mixture": (9085, 43.19),
    "bitwise": (10800, 33.84),
}


def run(lab):
    """Train a model with each likelihood, and write the page."""
    runs = lab.train_runs(
        {
            label: FIXED | {"likelihood": likelihood, "epochs": FEWER_EPOCHS.get(label, FIXED["epochs"])}
            for label, likelihood in LIKELIHOODS.items()
        }
    )
    rows = [build_row(lab, label, one) for label, one in runs.items()]
    lab.add_table("likelihoods", rows, "Test images")
    lab.add_text(
        "Frechet distance of the features of a LeNet, no FID: of 10,000 samples of the prior to the test images."
    )
    for label in ("optimal", "sigma 1", "per-pixel"):
        lab.add_samples(runs[label], f"{label.replace(' ', '-')}.png", f"{label}: samples")
    add_verdicts(lab, {row["sigma"]: row for row in rows})
    lab.write_page("Likelihoods in bits per dimension", __doc__)


def build_row(lab, label, one):
    """Return the row of a run."""
    scores = lab.evaluate_run(one, samples=DRAWS, pictures=PICTURES)
    published_nll, published_fid = PUBLISHED.get(label, (None, None))
    return {
        "sigma": label,
        "likelihood": LIKELIHOODS[label],
        "bits/dim": scores["bits_per_dim"],
        "KL": scores["rate"],
        "squared error": scores["sq_err"],
        "active units": scores["active_units"],
        "Frechet": scores[FRECHET],
        "low": scores[f"{FRECHET}_low"],
        "high": scores[f"{FRECHET}_high"],
        "marginal KL": scores["marginal_kl"],
        "epochs": one.config.epochs,
        "published -log p, SVHN": published_nll,
        "published FID, SVHN": published_fid,
    }


def add_verdicts(lab, rows):
    """Add the verdicts; `rows`: {likelihood: row}."""
    bits = {label: row["bits/dim"] for label, row in rows.items()}
    lab.add_verdict(
        "Kim: calibrated decoders",
        "a calibrated variance beats sigma 1",
        bits["sigma 1"] - bits["optimal"] > 1.5,
        ", ".join(f"{label} {bits[label]:.2f}" for label in ("optimal", "shared", "sigma 1")) + " bits/dim",
    )
    one, best = rows["sigma 1"], rows["optimal"]
    lab.add_verdict(
        "Kim: calibrated decoders",
        "and in the distance of its samples",
        best["high"] < one["low"],
        f"Frechet {best['Frechet']:.1f} ({best['low']:.1f} to {best['high']:.1f}) against {one['Frechet']:.1f} "
        f"({one['low']:.1f} to {one['high']:.1f}); published, FID on SVHN: 27.25 against 112.5",
    )
    pixel = rows["per-pixel"]
    lab.add_verdict(
        "Kim: calibrated decoders",
        "a variance for each pixel codes better, and its samples are worse",
        bits["per-pixel"] < bits["optimal"] and pixel["low"] > best["high"],
        f"{bits['per-pixel']:.2f} against {bits['optimal']:.2f} bits/dim; Frechet {pixel['Frechet']:.1f} "
        f"({pixel['low']:.1f} to {pixel['high']:.1f}) against {best['Frechet']:.1f}; published: 114.7, 27.25",
    )
    lab.add_verdict(
        "Kim: calibrated decoders",
        "the figures of its table",
        None,
        "they are densities of [0, 1] pixels and FIDs on SVHN, CelebA and CIFAR-10; here bits/dim and a LeNet's "
        "features on Fashion-MNIST: the order can be compared, the figures cannot",
    )
    active = {label: rows[label]["active units"] for label in ("optimal", "shared", "sigma 1")}
    lab.add_verdict(
        "Kim: calibrated decoders",
        "sigma 1 leaves most of the latent space unused",
        active["sigma 1"] < 0.5 * active["optimal"],
        ", ".join(f"{label}: {count} active units of 32" for label, count in active.items()),
    )
