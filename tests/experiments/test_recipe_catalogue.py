"""The catalogue: every claim of the source documents leads somewhere, and verdicts to the claims they name."""

import importlib
import pathlib
import re

import pytest

import tfvae
from tfvae.cli.parsers import VERBS
from tfvae.experiments.recipe_catalogue import CLAIMS, RECIPES, SOURCES

ROOT = pathlib.Path(tfvae.__file__).parents[1]
COUNTS = {"Parnas": 22, "Kuzina": 11, "Idler": 6, "Kim": 16, "Haseeb": 6}  # claims of each document


def read_sources(name):
    """Return the text of a recipe's Python files, its parts included."""
    folder, _, stem = f"experiments.{RECIPES[name].module}".rpartition(".")
    pattern = f"{stem}*.py" if folder == "experiments" else "*.py"
    paths = (ROOT / "tfvae" / folder.replace(".", "/")).glob(pattern)
    return "".join(path.read_text() for path in paths)


def test_every_claim_leads_somewhere():
    """Each of the 61: to recipes that exist, or to a text whose every item in backticks is a test or a command."""
    counts = {author: sum(key.startswith(f"{author}: ") for key in CLAIMS) for author in SOURCES}
    assert counts == COUNTS and sum(COUNTS.values()) == len(CLAIMS)
    for key, claim in CLAIMS.items():
        assert claim.text, key
        if not isinstance(claim.where, str):
            assert claim.where and set(claim.where) <= set(RECIPES), key
            continue
        items = re.findall(r"`([^`]+)`", claim.where)
        assert items, key
        for item in items:
            verb = item.split()[1] if item.startswith("tfvae ") else ""
            assert verb in VERBS or list((ROOT / "tests").rglob(item)), (key, item)


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_runs_and_judges_claims_that_lead_to_it(name):
    """A module with run(lab); a verdict on a claim that does not name the recipe would be missing from the index."""
    assert callable(importlib.import_module(f"tfvae.experiments.{RECIPES[name].module}").run)
    named = re.findall(r'\.add_verdict\(\s*"([^"]+)"', read_sources(name))
    judged = {key for keys in named for key in keys.split("; ")}
    assert judged
    leading_here = {key for key, claim in CLAIMS.items() if not isinstance(claim.where, str) and name in claim.where}
    assert judged <= leading_here, f"not in CLAIMS: {sorted(judged - leading_here)}"


def test_nothing_is_named_after_a_number_of_a_document():
    """Sources are cited by author and title."""
    for path in (ROOT / "tfvae" / "experiments").rglob("*.py"):
        assert not re.search(r"[Ss]eed 00\d|\(00\d\b", path.read_text()), path
