"""What the recipe square measures: neighbourhoods, the shape of the codes, and the line of a single latent variable."""

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from tfvae.training.run_data import load_run_split
from tfvae.zoo import load

NEIGHBOURS = 10
SPAN, STEPS = 3.0, 2001  # of the line g(z): standard deviations to either side, points


def measure_neighbours(codes, labels, count=NEIGHBOURS):
    """Return the share of the `count` nearest codes [N, L] of each point, itself left out, that have its label [N]."""
    neighbours = NearestNeighbors(n_neighbors=count).fit(codes).kneighbors(return_distance=False)
    return float((labels[neighbours] == labels[:, None]).mean())


def measure_likeness(points, codes):
    """Return 1 - disparity of points and codes [N, 2] after a Procrustes fit: 1 for a rotated square."""
    return float(1.0 - procrustes(points, codes)[2]) if np.ptp(codes, axis=0).min() > 0 else 0.0


def measure_turn(points, codes):
    """Return how far the best rotation or reflection tilts the square, degrees in [0, 45]; 45 is a diamond."""
    rotation = orthogonal_procrustes(points - points.mean(0), codes - codes.mean(0))[0]
    angle = np.degrees(np.arctan2(rotation[0, 1], rotation[0, 0])) % 90
    return float(min(angle, 90 - angle))


def measure_length(line):
    """Return the length of a line through points [N, D]."""
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def decode_points(model, z):
    """Return g(z) [N, 2] as it is; `latent_views.decode_codes` would clip it to the square."""
    return model.likelihood.loc(model.arch.generate(np.asarray(z, np.float32))).numpy().reshape(-1, 2)


def measure_run(one):
    """Return what is drawn and measured of a run, for the test points."""
    model = load.load(one.path)
    points, labels = load_run_split(one, "test")
    mean, stddev = (part.numpy() for part in model.encode(points))
    codes = mean + stddev * np.random.default_rng(0).standard_normal(mean.shape)
    reconstructions = decode_points(model, mean)
    samples = decode_points(model, np.random.default_rng(1).standard_normal(mean.shape))
    points = points.reshape(-1, 2)
    flat = mean.shape[1] == 2
    line = None if flat else decode_points(model, np.linspace(-SPAN, SPAN, STEPS)[:, None])
    last = one.rows[-1]
    numbers = {
        "error": last["sq_err"],
        "KL": last["rate"],
        "neighbours": measure_neighbours(mean, labels),
        "trustworthiness": float(trustworthiness(points, mean, n_neighbors=NEIGHBOURS)),
        "lowest": float(reconstructions.min()),
        "highest": float(reconstructions.max()),
    }
    if flat:
        numbers |= {
            "likeness": measure_likeness(points, mean),
            "turn": measure_turn(points, mean),
            "active": int((mean.var(0) > 0.01).sum()),
        }
    else:
        numbers |= {"length": measure_length(line)}
    return {
        "points": points,
        "labels": labels,
        "codes": codes,
        "reconstructions": reconstructions,
        "samples": samples,
        "line": line,
        "numbers": numbers,
    }
