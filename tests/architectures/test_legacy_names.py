"""`.keras` files of tfvae 0.1, whose layers have the names that attributes had then, load as before."""

import io
import zipfile

import h5py
import keras
import numpy as np
import pytest

import tfvae

# attribute today -> in 0.1
OLD_NAMES = {
    "sublayers": "parts",
    "conditioning_layers": "sites",
    "global_latent": "whole",
    "condition_cell": "told_cell",
}
LADDER, CONVDRAW = "ladder:levels=2,hidden=4,latent=1,vector=3", "convdraw:steps=2,hidden=4,latent=1,vector=3"
CASES = [
    ("mlp:widths=12,latent=3,conditioning=film", {"arch/encoder/sites/fi_lm/first/vars"}),
    (
        LADDER,
        {"arch/rungs/parts/parts/conv2d/vars", "arch/rungs/parts_1/sites/shift/last/vars", "arch/whole/merge/vars"},
    ),
    (CONVDRAW, {"arch/cores/parts/parts/conv2d_5/vars", "arch/told_cell/vars", "arch/whole/prior/vars"}),
]


def rename_groups(group, names):
    """Rename the groups of an HDF5 file at every depth; return the paths of all."""
    for name, child in list(group.items()):
        if isinstance(child, h5py.Group):
            rename_groups(child, names)
            if name in names:
                group.move(name, names[name])
    paths = []
    group.visit(paths.append)
    return set(paths)


def rewrite_with_old_names(path, names):
    """Put a `.keras` file's weights under the names of 0.1 and return the paths of its groups."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(entries["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        paths = rename_groups(file, names)
    entries["model.weights.h5"] = weights.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return paths


@pytest.mark.parametrize("spec, old_paths", CASES, ids=["mlp", "ladder", "convdraw"])
def test_a_file_with_the_old_names_is_read_whole(spec, old_paths, tmp_path, generator):
    names = OLD_NAMES | {"step_layers": "rungs" if spec == LADDER else "cores"}
    model = tfvae.build("elbo", "gaussian", spec, image_shape=(8, 8, 1), condition="labels", classes=3)
    for variable in model.arch.trainable_variables:
        variable.assign(generator.standard_normal(variable.shape))
    model.save(tmp_path / "model.keras")
    assert old_paths <= rewrite_with_old_names(tmp_path / "model.keras", names)
    again = keras.models.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(again.arch.variables, model.arch.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
