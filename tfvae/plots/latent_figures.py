"""Pictures of the latent space: traversals, the 2-D manifold, interpolations and the KL of each dimension."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from tfvae.errors import UsageError
from tfvae.plots.grids import draw_image_grid
from tfvae.plots.style import BLUE, create_figure, save_figure, style_axes

NAMED_BARS = 32  # with more, the tick labels would touch
INACTIVE_COLOUR = "#c3c9d0"


def _flatten_rows(images: np.ndarray, shape: str) -> tuple[np.ndarray, int]:
    """Return images [R,S,H,W,C] as [R*S,H,W,C], and S; refuse another number of axes."""
    images = np.asarray(images)
    if images.ndim != 5:
        raise UsageError(f"Expected images {shape}. Received shape: {images.shape}.")
    return images.reshape(-1, *images.shape[2:]), images.shape[1]


def draw_traversals(
    images: np.ndarray,
    path: str | pathlib.Path,
    names: Iterable[str | int] | None = None,
    values: Iterable[float] | None = None,
    kl: Sequence[float] | np.ndarray | None = None,
) -> pathlib.Path:
    """Draw one row for each latent dimension and one column for each value given to it.

    Args:
        images: [D,S,H,W,C], float with pixels in [0,1] or uint8.
        path: the PNG to write.
        names: D row labels, or the D indices of the dimensions; default: 0 ... D-1.
        values: S numbers, the positions of the columns in the latent space; default: no column labels.
        kl: [D] mean KL of each dimension, nats per image, added to its label; default: none.

    Returns:
        The path written.

    Raises:
        UsageError: shapes or counts that do not fit.

    Example:
        draw_traversals(latent_views.traverse(model, x[0], [3, 5]), "traversals.png", names=[3, 5])
    """
    flat, columns = _flatten_rows(images, "[D,S,H,W,C]")
    names = range(len(images)) if names is None else names
    labels = [name if isinstance(name, str) else f"z[{name}]" for name in names]
    if kl is not None:
        if len(kl) != len(labels):
            raise UsageError(f"Expected one KL for each of {len(labels)} rows. Received: {len(kl)}.")
        labels = [f"{label}  {value:.2f} nats" for label, value in zip(labels, kl)]
    column_labels = None if values is None else [f"{value:+.1f}" for value in values]
    return draw_image_grid(flat, path, columns, row_labels=labels, column_labels=column_labels)


def draw_manifold(images: np.ndarray, path: str | pathlib.Path) -> pathlib.Path:
    """Draw the decoded plane of a 2-D latent space, tiles touching; image [r, c] stands in row r (0 is on top).

    Args:
        images: [R,R,H,W,C], float with pixels in [0,1] or uint8.
        path: the PNG to write.

    Returns:
        The path written.

    Raises:
        UsageError: another shape.

    Example:
        draw_manifold(latent_views.decode_manifold(model, 20), "manifold.png")
    """
    flat, columns = _flatten_rows(images, "[R,R,H,W,C]")
    return draw_image_grid(flat, path, columns, gap=0)


def draw_interpolations(images: np.ndarray, path: str | pathlib.Path) -> pathlib.Path:
    """Draw one row for each pair of images, from the first to the second in S steps.

    Args:
        images: [N,S,H,W,C], float with pixels in [0,1] or uint8.
        path: the PNG to write.

    Returns:
        The path written.

    Raises:
        UsageError: another shape.

    Example:
        draw_interpolations(latent_views.interpolate(model, x[:4], x[4:8]), "interpolations.png")
    """
    flat, columns = _flatten_rows(images, "[N,S,H,W,C]")
    return draw_image_grid(flat, path, columns)


def draw_kl_per_dimension(kl_dims: np.ndarray, path: str | pathlib.Path, threshold: float = 0.01) -> pathlib.Path:
    """Draw the mean KL of each latent dimension as bars, largest first; inactive ones (<= threshold) in grey.

    Args:
        kl_dims: [L], nats per image.
        path: the PNG to write.
        threshold: a dimension above it counts as active, nats.

    Returns:
        The path written.

    Raises:
        UsageError: not a vector of finite numbers.

    Example:
        draw_kl_per_dimension([0.5, 0.01, 3.0], "kl.png")
    """
    kl_dims = np.asarray(kl_dims, np.float64)
    if kl_dims.ndim != 1 or not len(kl_dims) or not np.isfinite(kl_dims).all():
        raise UsageError(f"Expected finite KLs [L]. Received shape {kl_dims.shape}, {kl_dims.size} numbers.")
    order = np.argsort(-kl_dims, kind="stable")
    heights, count = kl_dims[order], len(kl_dims)
    active = int((kl_dims > threshold).sum())
    figure, axes = create_figure(1, 1, 4.2)
    ax = axes[0, 0]
    title = f"{active} of {count} latent dimensions are active (KL > {threshold:g} nats)"
    title += f"; {kl_dims.sum():.1f} nats in all"
    style_axes(ax, title, "latent dimension, sorted by KL", "mean KL, nats per image")
    ax.grid(False, axis="x")
    visible = min(count, max(NAMED_BARS, active + active // 4))  # the tail of inactive ones is only white
    colours = [BLUE if height > threshold else INACTIVE_COLOUR for height in heights[:visible]]
    ax.bar(np.arange(visible), heights[:visible], width=0.82, color=colours)
    ax.set_xlim(-0.7, visible - 0.3)
    step = -(-visible // NAMED_BARS)
    ax.set_xticks(np.arange(0, visible, step), [str(n) for n in order[:visible:step]])
    if visible < count:
        ax.set_xlabel(f"latent dimension, sorted by KL (the first {visible} of {count})")
    return save_figure(figure, path)
