"""Looking into the latent space: traversals, the 2-D manifold, interpolations and KL per dimension."""

import numpy as np

from tfvae.errors import UsageError
from tfvae.plots.grids import image_grid
from tfvae.plots.style import BLUE, dress, new_figure, save_figure

NAMED_BARS = 32  # with more, the tick labels would touch


def _board(images, what):
    images = np.asarray(images)
    if images.ndim != 5:
        raise UsageError(f"Expected images {what}. Received shape: {images.shape}.")
    return images.reshape(-1, *images.shape[2:]), images.shape[1]


def traversal_grid(images, path, names=None, values=None, kl=None):
    """One row for each latent dimension, one column for each value given to it.

    Args:
        images: [D,S,H,W,C], float with pixels in [0,1] or uint8.
        path: the PNG to write.
        names: D row labels, or the D indices of the dimensions; default: 0 ... D-1.
        values: S numbers, the positions of the columns in the latent space.
        kl: [D] mean KL of each dimension, nats per image; added to its label.

    Returns:
        The path written.

    Raises:
        UsageError: shapes or counts that do not fit.
    """
    flat, columns = _board(images, "[D,S,H,W,C]")
    names = range(len(images)) if names is None else names
    labels = [name if isinstance(name, str) else f"z[{name}]" for name in names]
    if kl is not None:
        if len(kl) != len(labels):
            raise UsageError(f"Expected one KL for each of {len(labels)} rows. Received: {len(kl)}.")
        labels = [f"{label}  {value:.2f} nats" for label, value in zip(labels, kl)]
    heads = None if values is None else [f"{value:+.1f}" for value in values]
    return image_grid(flat, path, columns, row_labels=labels, column_labels=heads)


def manifold_2d(images, path):
    """The decoded plane of a 2-D latent space, tiles touching; image [r, c] stands in row r (0 is on top).

    Args:
        images: [R,R,H,W,C], float with pixels in [0,1] or uint8.
        path: the PNG to write.
    """
    flat, columns = _board(images, "[R,R,H,W,C]")
    return image_grid(flat, path, columns, gap=0)


def interpolation_grid(images, path):
    """One row for each pair of images, from the first to the second in S steps.

    Args:
        images: [N,S,H,W,C], float with pixels in [0,1] or uint8.
        path: the PNG to write.
    """
    flat, columns = _board(images, "[N,S,H,W,C]")
    return image_grid(flat, path, columns)


def kl_per_dimension(kl_dims, path, threshold=0.01):
    """Bars of the mean KL of each latent dimension, largest first; inactive ones (<= threshold) in grey.

    Args:
        kl_dims: [L], nats per image.
        path: the PNG to write.
        threshold: a dimension above it counts as active, nats.

    Raises:
        UsageError: not a vector of finite numbers.
    """
    kl_dims = np.asarray(kl_dims, np.float64)
    if kl_dims.ndim != 1 or not len(kl_dims) or not np.isfinite(kl_dims).all():
        raise UsageError(f"Expected finite KLs [L]. Received shape {kl_dims.shape}, {kl_dims.size} numbers.")
    order = np.argsort(-kl_dims, kind="stable")
    heights, count = kl_dims[order], len(kl_dims)
    active = int((kl_dims > threshold).sum())
    figure, axes = new_figure(1, 1, 4.2)
    ax = axes[0, 0]
    title = f"{active} of {count} latent dimensions are active (KL > {threshold:g} nats)"
    title += f"; {kl_dims.sum():.1f} nats in all"
    dress(ax, title, "latent dimension, sorted by KL", "mean KL, nats per image")
    ax.grid(False, axis="x")
    shown = min(count, max(NAMED_BARS, active + active // 4))  # the tail of inactive ones is only white
    colours = [BLUE if height > threshold else "#c3c9d0" for height in heights[:shown]]
    ax.bar(np.arange(shown), heights[:shown], width=0.82, color=colours)
    ax.set_xlim(-0.7, shown - 0.3)
    step = -(-shown // NAMED_BARS)
    ax.set_xticks(np.arange(0, shown, step), [str(n) for n in order[:shown:step]])
    if shown < count:
        ax.set_xlabel(f"latent dimension, sorted by KL (the first {shown} of {count})")
    return save_figure(figure, path)
