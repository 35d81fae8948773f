"""The code of README and docs/ runs, its commands are understood, and its tables name every part."""

from __future__ import annotations

import pathlib
import re
import shlex

import pytest

import tfvae
from tfvae import part_sources
from tfvae.cli.arguments import parse_arguments
from tfvae.cli.command_line import main

ROOT = pathlib.Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "examples" / "README.md")
}


def find_blocks(text: str, *languages: str) -> list[str]:
    """Return the fenced blocks of a page in one of the languages."""
    return [block for word, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S) if word in languages]


# Commands are in fenced blocks of bash; a line may end in a comment.
COMMANDS = sorted(
    {
        re.split(r"\s{2,}#", line.strip())[0]
        for text in PAGES.values()
        for block in find_blocks(text, "bash")
        for line in block.splitlines()
        if line.strip().startswith("tfvae ")
    }
)
PYTHON = {page: blocks for page, text in PAGES.items() if (blocks := find_blocks(text, "python"))}


@pytest.mark.parametrize(
    "page", [page if "README" in str(page) else pytest.param(page, marks=pytest.mark.slow) for page in PYTHON]
)
def test_python_runs_as_shown(page, tmp_path, monkeypatch):
    """In an empty folder, the blocks of a page one after the other; comments' shapes are checked in other tests."""
    monkeypatch.chdir(tmp_path)
    for block in PYTHON[page]:
        names: dict[str, object] = {}
        exec(compile(block, page, "exec"), names)
        assert "model" in names or "runs" in names


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT)  # for examples.own_objective and its kin
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)[1:]
    if words[0] == "train" and "folder:" not in command:
        assert main([*words, "--dry-run"]) == 0
        assert capsys.readouterr().out.startswith("{")
    else:
        assert parse_arguments(words).verb == words[0]
    assert list(tmp_path.iterdir()) == []


def test_commands_are_written_where_they_are_tested():
    """Not indented, not in a block of another language."""
    for page, text in PAGES.items():
        outside = re.sub(r"^```bash\n.*?^```", "", text, flags=re.M | re.S)
        assert not re.search(r"^( {4}|\$ )tfvae ", outside, re.M), page


def test_there_is_something_to_run():
    assert len(PYTHON["README.md"]) >= 2 and sum("README.md" not in page for page in PYTHON) >= 3
    assert len(COMMANDS) >= 40


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 200


@pytest.mark.parametrize(
    "kind, page",
    [
        ("objective", "objectives"),
        ("likelihood", "likelihoods"),
        ("arch", "architectures"),
        ("prior", "priors"),
    ],
)
def test_tables_name_every_part(kind, page):
    for text in (PAGES["README.md"], PAGES[f"docs/reference/{page}.md"]):
        listed = {name for line in text.splitlines() if line.startswith("|") for name in re.findall(r"`([^`]+)`", line)}
        assert listed >= set(part_sources.read_parts(kind))
    assert f"<!-- options: {kind} -->" in PAGES[f"docs/reference/{page}.md"]


def test_the_api_page_has_every_public_name():
    described = set(re.findall(r"^::: tfvae\.(\w+)", PAGES["docs/reference/api.md"], re.M))
    tables = {"OBJECTIVES", "LIKELIHOODS", "ARCHITECTURES", "PRIORS"}  # described by the pages of their axes
    assert described == set(tfvae.__all__) - tables - {"__version__"}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    text = re.sub(r"^```.*?^```", "", PAGES[page], flags=re.M | re.S)
    for target in re.findall(r'(?:\]\(|src="|href=")([^)"\s#]+)', text):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), target


def test_nothing_names_a_version_twice():
    """One place says the version; the citation and the changelog follow it."""
    assert f"version: {tfvae.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{tfvae.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    assert "version = attr: tfvae.__version__" in (ROOT / "setup.cfg").read_text()


@pytest.mark.slow
def test_the_site_builds(tmp_path):
    """Strictly, and without a network; no page asks another host for fonts, scripts or styles."""
    config = pytest.importorskip("mkdocs.config")
    build = pytest.importorskip("mkdocs.commands.build")
    build.build(config.load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"), strict=True))
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="?(https?:[^" >]+)', page.read_text())
        assert [url for url in loaded if "github.com/tfvae" not in url] == [], page
