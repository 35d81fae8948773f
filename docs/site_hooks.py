"""Hooks of the documentation's build: files outside of docs/, and tables that are read from the package.

Pages link to files of the repository as GitHub resolves them (``../benchmarks/...``). Pictures among them are copied
into the site; other files become links to the repository. A line ``<!-- options: objective -->`` becomes the table of
that axis' parts, read from their signatures without importing TensorFlow; ``<!-- verbs -->`` the table of commands.
"""

from __future__ import annotations

import os
import pathlib
import re
import sys
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r'(\]\(|src="|href=")([^)"\s#]+)(?=[)"#])')
PICTURES = (".png", ".svg", ".jpg")


def find_outside_target(page: str, target: str) -> pathlib.Path | None:
    """Return the file of the repository, outside of docs/, that a link of a page names; None for any other link."""
    if "://" in target or target.startswith(("/", "mailto:")):
        return None
    path = pathlib.Path(os.path.normpath(DOCS / pathlib.Path(page).parent / target))
    if path.is_relative_to(DOCS) or not path.is_relative_to(ROOT):
        return None
    if not path.exists():
        raise PluginError(f"{page}: the link {target} leads to no file of the repository")
    return path


def on_files(files: Any, config: Any) -> Any:
    """Add the pictures outside of docs/ that pages show, and return the files of the site."""
    for page in list(files.documentation_pages()):
        for match in LINK.finditer(pathlib.Path(page.abs_src_path).read_text()):
            path = find_outside_target(page.src_uri, match[2])
            if path is None or path.suffix not in PICTURES:
                continue
            uri = f"repository/{path.relative_to(ROOT).as_posix()}"
            if files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Return a page's text with links to outside files rewritten and with the tables filled in."""
    here = pathlib.Path(page.file.src_uri).parent

    def rewrite(match: re.Match[str]) -> str:
        path = find_outside_target(page.file.src_uri, match[2])
        if path is None:
            return match[0]
        relative = path.relative_to(ROOT).as_posix()
        if path.suffix in PICTURES:
            return match[1] + os.path.relpath(f"repository/{relative}", here)
        return f"{match[1]}{config['repo_url']}/blob/main/{relative}"

    return fill_tables(LINK.sub(rewrite, markdown))


def fill_tables(markdown: str) -> str:
    """Return the text with each marker replaced by the table it names."""
    sys.path.insert(0, str(ROOT))  # the package of this clone, whatever is installed
    try:
        markdown = re.sub(r"<!-- options: (\w+) -->", lambda match: format_options(match[1]), markdown)
        return markdown.replace("<!-- verbs -->", format_verbs())
    finally:
        sys.path.remove(str(ROOT))


def format_options(kind: str) -> str:
    """Return a Markdown table of an axis' parts: name, options, summary; then what the options mean."""
    from tfvae.part_sources import read_parts

    parts = read_parts(kind)
    rows = ["| name | options and defaults | |", "|---|---|---|"]
    owners: dict[tuple[str, str], list[str]] = {}  # (option, what it means) -> the parts that have it
    for name, part in parts.items():
        words = {key: "none" if option.default is None else option.default for key, option in part.options.items()}
        text = " ".join(f"`{key}={value}`" for key, value in words.items())
        rows.append(f"| `{name}` | {text} | {escape_cell(part.summary)} |")
        for key, option in part.options.items():
            if option.help:
                owners.setdefault((key, option.help), []).append(f"`{name}`")
    if owners:
        rows += ["", "| option | of | what it means |", "|---|---|---|"]
    rows += [f"| `{key}` | {' '.join(names)} | {escape_cell(text)} |" for (key, text), names in owners.items()]
    return "\n".join(rows)


def format_verbs() -> str:
    """Return a Markdown table of the verbs of the command line."""
    from tfvae.cli.parsers import VERBS

    rows = ["| command | what it does |", "|---|---|"]
    rows += [f"| `tfvae {verb}` | {escape_cell(entry[0])} |" for verb, entry in VERBS.items()]
    return "\n".join(rows)


def escape_cell(text: str) -> str:
    """Return the text as the content of a table's cell."""
    return text.replace("|", r"\|").replace("*", r"\*").replace("<", "&lt;")
