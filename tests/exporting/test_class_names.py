"""Names of classes: from a folder's sub-folders through a run, its export and its card to the page and the flags."""

import json

import numpy as np
import pytest
from PIL import Image

import tfvae
from tfvae.cli.command_line import main
from tfvae.explore import site
from tfvae.exporting import exporter, loading, model_card, savedmodel
from tfvae.training import trainer

NAMES = ["circle", "square", "a|b\x1b[31m"]
PARTS = {"likelihood": "gaussian:sigma=0.5", "arch": "mlp:widths=4,latent=2", "image_shape": (4, 4, 1)}


def test_names_are_in_manifest_card_and_page(tmp_path):
    model = tfvae.build("elbo", condition="labels", classes=3, class_names=NAMES, **PARTS)
    manifest = exporter.make_condition_metadata(model)
    assert manifest["condition"]["class_names"] == NAMES
    words = model_card.describe_condition(manifest)
    assert "0 to 2 (0 circle, 1 square, 2 a|b" in words and "\x1b" not in words
    assert site.describe_range(manifest["condition"]) == {"name": "labels", "low": -1, "high": 2, "names": NAMES}
    (tmp_path / savedmodel.MANIFEST).write_text(json.dumps(manifest))
    condition = loading.read_condition(tmp_path)
    assert condition.class_names == tuple(NAMES) and condition.find_label("square") == 1


def test_a_model_without_names_is_described_as_before():
    model = tfvae.build("elbo", condition="labels", classes=3, **PARTS)
    manifest = exporter.make_condition_metadata(model)
    assert manifest["condition"] == {"name": "labels", "spec": "labels", "classes": 3}
    assert model_card.describe_condition(manifest) == "label of each image, 0 to 2; -1: not known"
    assert site.describe_range(manifest["condition"]) == {"name": "labels", "low": -1, "high": 2}


@pytest.mark.slow
def test_a_folder_s_names_work_on_the_command_line(tmp_path, capsys):
    """The same seed draws the same picture by name, in other capital letters, and by number, from run and export."""
    for kind in NAMES[:2]:
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        for i in range(20):
            pixels = np.random.default_rng(i).integers(0, 256, (4, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / kind / f"{i}.png")
    settings = dict(condition="labels", arch=PARTS["arch"], batch_size=8, epochs=1, xla="off", root=tmp_path)
    dataset = f"folder:{tmp_path}/pictures,size=4,channels=1"
    run = trainer.train(objective="elbo", dataset=dataset, run_dir=tmp_path / "run", **settings)
    assert trainer.load_run(run).class_names == run.class_names == tuple(NAMES[:2])
    assert main(["export", str(run.path), str(tmp_path / "exported")]) == 0
    for place in (run.path, tmp_path / "exported"):
        pictures = []
        for label in ("square", "SQUARE", "1", "circle"):
            path = tmp_path / f"{label}.png"
            assert main(["sample", str(place), "--label", label, "-n", "4", "-o", str(path)]) == 0
            pictures.append(path.read_bytes())
        assert len(set(pictures[:3])) == 1 and pictures[3] != pictures[0]
        capsys.readouterr()
        assert main(["sample", str(place), "--label", "squere", "-o", str(tmp_path / "x.png")]) == 2
        assert "one of circle, square. Received: 'squere'. Did you mean 'square'?" in capsys.readouterr().err
