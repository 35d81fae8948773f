"""Experiments: each table and plot of the seeds by one command, ``tfvae experiment run NAME``. No TensorFlow here.

A recipe is a module with ``run(lab)``, which ends in ``lab.publish``; `RECIPES` says what it is about. `SEED_ROWS`
maps every row of the seeds, numbered SEED.ROW, to the recipes that show it, or to where else it is.
"""

# name: (module, what it shows)
RECIPES = {
    "information-plane": ("information_plane", "GECO, beta-VAEs and ELBO in the information plane (000, figures 3-6)"),
    "mnist-table": ("mnist_table", "VAE, beta-VAE, GECO and GECO+IWAE on MNIST (001)"),
    "binary-nll": ("binary_nll", "log p(x) of binarised MNIST and Fashion-MNIST beside published figures"),
}

# row: (what it is, recipes, or where it is if it is no experiment)
SEED_ROWS = {}
