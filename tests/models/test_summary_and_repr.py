"""What a model, its terms, a config and a run say of themselves: some lines, with shapes, never whole arrays."""

import pytest

import tfvae
from tests.small_parts import ARCHITECTURES
from tfvae.models.model_summary import count_numbers


@pytest.mark.parametrize("arch", [ARCHITECTURES["mlp"], ARCHITECTURES["ladder"]])
def test_the_summary_has_shapes_and_counts_of_the_parts(arch):
    model = tfvae.build("geco:kappa=2", "gaussian", arch, "mixture:components=3", image_shape=(8, 8, 1))
    text = []
    model.summary(print_fn=text.append)
    lines = text[0].splitlines()
    rows = {line.split()[0]: line for line in lines[2:-1]}
    assert {"likelihood", "arch", "prior", "multipliers"} <= rows.keys()
    assert f" [8, 8, 1] -> [{model.arch.latent}] -> [8, 8, 1] " in rows["arch"] and "?" not in text[0]
    assert max(map(len, lines)) <= 80
    for name in ("likelihood", "arch", "prior"):
        assert rows[name].endswith(f" {count_numbers(getattr(model, name).variables):,}")
    trained = count_numbers(model.trainable_variables)
    assert lines[-1] == f"parameters: {model.count_params():,} in all, {trained:,} trained"


def test_networks_of_the_architecture_are_listed(tiny):
    text = []
    tiny().summary(print_fn=text.append)
    assert "encoder" in text[0] and " [8, 8, 1] -> [6] " in text[0] and " [3] -> [8, 8, 1] " in text[0]
    tiny().summary(print_fn=text.append, show_trainable=True)  # an option of Keras' summary: its own table
    assert "Trainable" in text[1]


def test_a_model_and_its_terms_fit_on_two_lines(tiny, images):
    model = tiny("geco:kappa=2")
    said = repr(model)
    assert "\n" not in said and len(said) < 160 and "arch=MLP" in said and "latent=3" in said
    said = repr(model.terms(images(4), samples=4))
    assert "\n" not in said and len(said) < 240 and "log_px (4, 4)" in said and "mean (4, 4, 8, 8, 1)" in said


def test_a_config_says_what_is_not_the_default():
    config = tfvae.Config(objective="geco:kappa=4", epochs=2)
    assert repr(config) == "Config(objective='geco:kappa=4', epochs=2)"
    assert eval(repr(config), {"Config": tfvae.Config}) == config and repr(tfvae.Config()) == "Config()"


def test_a_run_is_its_path(tmp_path):
    assert repr(tfvae.Run(tmp_path)) == f"Run({str(tmp_path)!r})"
