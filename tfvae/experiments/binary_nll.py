"""log p(x) of binarised MNIST and Fashion-MNIST.

Images are binarised anew in each step (dynamic), as for the published figures: Burda et al. (2016, table 1) for MNIST,
784-200-200-50 tanh, 3,280 epochs at batch 20; for Fashion-MNIST those that come with the code of Exemplar-VAE, a gated
network of two layers of 300 units and z of 40 with a KL warm-up of 100 epochs, early stopping and 10,000 images held
out, and its convolutional hierarchical VAE. Here: plain layers, all 60,000 images, batch 100, Adam 1e-3 with a cosine,
far fewer epochs. NLL is minus the K-sample bound, its standard error that of the mean over images.
"""

SAMPLES, IMAGES = 5000, 1000
NEAR = 1.0  # nats: what is still the same figure
FIXED = {"likelihood": "bernoulli", "binarize": "dynamic", "batch_size": 100, "schedule": "cosine"}
MNIST = FIXED | {"dataset": "mnist", "arch": "mlp:widths=200-200,latent=50,activation=tanh", "epochs": 40}
FASHION = FIXED | {"dataset": "fashion_mnist", "arch": "mlp:widths=300-300,latent=40", "epochs": 100}
CONVDRAW = FIXED | {
    "dataset": "fashion_mnist",
    "arch": "convdraw:steps=4,hidden=32,latent=2",
    "epochs": 5,
    "batch_size": 64,
    "learning_rate": 2e-3,
}
# label: (settings, published NLL, draws, images)
MODELS = {
    "MNIST, VAE": (MNIST | {"objective": "elbo"}, 86.76, SAMPLES, IMAGES),
    "MNIST, IWAE k=5": (MNIST | {"objective": "iwae:k=5"}, 85.54, SAMPLES, IMAGES),
    "Fashion-MNIST, VAE": (FASHION | {"objective": "elbo"}, 228.70, SAMPLES, IMAGES),
    "Fashion-MNIST, IWAE k=5": (FASHION | {"objective": "iwae:k=5", "epochs": 30}, None, SAMPLES, IMAGES),
    "Fashion-MNIST, ConvDraw of 4 steps": (CONVDRAW | {"objective": "elbo"}, 225.38, 500, 500),
}


def run(lab):
    """Train the models, and write the page."""
    runs = lab.train_runs({label: settings for label, (settings, *_) in MODELS.items()})
    rows = []
    for label, (settings, published, samples, images) in MODELS.items():
        scores, model_run = lab.evaluate_run(runs[label], samples=samples, limit=images), runs[label]
        rows.append(
            {
                "model": label,
                "NLL": scores["nll"],
                "standard error": scores["nll_standard_error"],
                "published": published,
                "gap": published and scores["nll"] - published,
                "-ELBO": -scores["elbo"],
                "active units": scores["active_units"],
                "draws": scores["samples"],
                "images": scores["images"],
                "epochs": model_run.config.epochs,
                "minutes": model_run.rows[-1]["seconds"] / 60,
            }
        )
    lab.add_table("nll", rows, "Test images, nats per image")
    for label, model_run in runs.items():
        name = f"{label.replace(', ', '-').replace(' ', '-').replace('=', '').lower()}.png"
        lab.add_samples(model_run, name, f"{label}: samples")
    for row in rows:
        if row["published"]:
            lab.add_verdict(
                "Parnas: ELBO; Kuzina: IWAE" if "IWAE" in row["model"] else "Parnas: ELBO",
                f"{row['model']}: {row['published']}, within {NEAR:g} nat",
                row["gap"] < NEAR,
                f"{row['NLL']:.2f} +- {2 * row['standard error']:.2f} over the images, gap {row['gap']:+.2f}; "
                f"{row['epochs']} epochs",
            )
    lab.write_page("Binarised images: log p(x)", __doc__)
