"""A run as one offline HTML page: verdict, curves, pictures, settings; nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import html
import json
import math
import numbers
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfvae.runtime import files

MAX_PAGE_BYTES = 5_000_000  # bytes of the whole page: it should fit into a mail
STYLE = """
:root { color-scheme: light dark;
  --ink: #1f2328; --muted: #656d76; --rule: #d9dee3; --paper: #fff; --card: #f6f8fa }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --muted: #9198a1; --rule: #30363d; --paper: #0d1117; --card: #161b22 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 70rem; color: var(--ink);
  background: var(--paper);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .2rem }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem }
p { margin: 0; color: var(--muted) }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid var(--rule) }
th { font-weight: 500; color: var(--muted); width: 16rem }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.verdict { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: .5rem 1.1rem }
.verdict tr:last-child > * { border-bottom: 0 } .verdict td { font-weight: 600 }
.split { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 0 2.5rem }
.split > * { align-self: start } .split th { width: 9rem }
figure { margin: 0 0 1.4rem } figcaption { color: var(--muted); margin-top: .3rem }
img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px; padding: 6px }
"""


def _format_number(value: float) -> str:
    """Return a number with five significant digits."""
    return f"{value:.5g}" if math.isfinite(value) else str(value)


def _format_value(value: Any) -> str:
    """Return a value as a reader wants it: yes/no, five digits, compact JSON for what is nested."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return _format_number(float(value))
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, default=str, ensure_ascii=False)
    return "" if value is None else str(value)


def _format_table(pairs: Iterable[tuple[str, Any]]) -> str:
    """Return pairs of name and value as an HTML table."""
    lines = [f"<tr><th>{html.escape(str(k))}</th><td>{html.escape(_format_value(v))}</td></tr>" for k, v in pairs]
    return "<table>" + "\n".join(lines) + "</table>"


def _list_last_metrics(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any]]:
    """Return names and values of the last epoch, the validation's beside the training's."""
    last = {name: value for name, value in rows[-1].items() if value not in ("", None)}
    pairs: list[tuple[str, Any]] = []
    for name, value in last.items():
        twin = last.get("val_" + name)
        if not name.startswith("val_"):
            text = _format_value(value) + (f" (validation {_format_value(twin)})" if twin is not None else "")
            pairs.append((name, text))
    return pairs + [(n, v) for n, v in last.items() if n.startswith("val_") and n[4:] not in last]


def _embed_figure(path: str | pathlib.Path, room: int) -> tuple[str, int]:
    """Return the <figure> of one PNG and the bytes it takes; one too large, or gone, is named instead of shown."""
    path = pathlib.Path(path)
    name = html.escape(path.stem.replace("_", " "))
    try:
        data = path.read_bytes()
    except OSError:
        return f"<p>{name}: the file {html.escape(path.name)} could not be read.</p>", 0
    encoded = base64.b64encode(data).decode()
    if len(encoded) > room:
        note = f"{name}: not embedded, {len(data) / 1e6:.1f} MB; see {html.escape(path.parent.name)}/"
        return f"<p>{note}{html.escape(path.name)}.</p>", 0
    image = f'<img alt="{name}" src="data:image/png;base64,{encoded}">'
    return f"<figure>{image}<figcaption>{name}</figcaption></figure>", len(encoded)


def _embed_figures(paths: Iterable[str | pathlib.Path], room: int) -> tuple[str, int]:
    """Return the figures of several PNGs, and the bytes of `room` that are left."""
    parts = []
    for path in paths:
        part, size = _embed_figure(path, room)
        parts.append(part)
        room -= size
    return "\n".join(parts), room


def write_report(
    run_dir: str | pathlib.Path,
    config: Mapping[str, Any],
    env: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    facts: Sequence[tuple[str, Any]],
    plots: Sequence[str | pathlib.Path],
    samples: Sequence[str | pathlib.Path],
) -> pathlib.Path:
    """Write run_dir/report.html, whole or not at all, and return its path.

    Args:
        run_dir: folder of the run; its name is the subtitle.
        config: the content of config.json.
        env: the content of env.json.
        rows: dicts of metrics.csv; the last one is shown. May be empty.
        facts: (name, value) pairs, the verdict: what a reader must know first.
        plots: paths of PNG files. Those that do not fit into 5 MB are named, not shown.
        samples: paths of more PNG files, treated alike.

    Raises:
        StorageError: the page cannot be written.

    Example:
        write_report("runs/a", config, env, rows, [("ELBO", -241.2)], ["runs/a/plots/curves.png"], [])
    """
    run_dir = pathlib.Path(run_dir)
    title = html.escape(f"{config.get('objective', 'run')} on {config.get('dataset', 'unnamed data')}")
    sections = [("Verdict", f'<div class="verdict">{_format_table(facts)}</div>')] if facts else []
    tail = [(f"Last of {len(rows)} epochs", _format_table(_list_last_metrics(rows)))] if rows else []
    settings = f'<div class="split">{_format_table(config.items())}{_format_table(env.items())}</div>'
    tail.append(("Settings and environment", settings))
    text_size = len(STYLE) + sum(len(body.encode()) for _, body in sections + tail)
    curves, room = _embed_figures(plots, MAX_PAGE_BYTES - text_size - 20_000)
    pictures, _ = _embed_figures(samples, room)
    sections += [("Curves", curves)] * bool(plots) + [("Images", pictures)] * bool(samples) + tail
    body = "\n".join(f"<section><h2>{heading}</h2>\n{content}</section>" for heading, content in sections)
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{STYLE}</style></head>
<body><h1>{title}</h1><p>{html.escape(str(run_dir.name))}</p>
{body}
</body></html>
"""
    path = run_dir / "report.html"
    files.write_bytes(path, page.encode())
    return path
