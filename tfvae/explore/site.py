"""The app behind the page: its files, what they cannot read off the REST API, and that API on the same origin."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Response

from tfvae.errors import DataError, TfvaeError, UsageError
from tfvae.exporting.export_manifest import read_manifest
from tfvae.safety.foreign_text import escape_text

PAGE_FOLDER = pathlib.Path(__file__).parent / "page"
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
POLICY += "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class Site:
    """A WSGI app: the page, `model.json`, `healthz`, and all else to `backend`.

        site = Site(ModelServer(folder, "digits", 1), "digits")

    Args:
        backend: a WSGI app with TensorFlow Serving's URLs for the one model `name`.
        name: of the model.
        about: a sentence on the model, for its readers; may be empty.
        condition: the entry `condition` of the model's manifest; None is what the backend's metadata say. Those of
            `tfvae serve` hold that entry, those of TensorFlow Serving do not.

    Raises:
        UsageError: the backend does not answer, or nothing says which values the model's condition takes.
        DataError: the backend does not answer as TensorFlow Serving does.
    """

    def __init__(self, backend: Any, name: str, about: str = "", condition: dict[str, Any] | None = None) -> None:
        self.backend = backend
        rules = [Rule("/", endpoint="index.html", methods=["GET"])]
        rules += [Rule(f"/{path.name}", endpoint=path.name, methods=["GET"]) for path in sorted(PAGE_FOLDER.iterdir())]
        rules += [Rule(f"/{path}", endpoint=path, methods=["GET"]) for path in ("model.json", "healthz")]
        self.url_map = Map(rules)
        metadata = read_json_response(Client(backend).get(f"/v1/models/{name}/metadata"))
        content = {"name": name, "about": about, "condition": find_condition(metadata, condition)}
        self.generated_files = {"model.json": json.dumps(content).encode(), "healthz": b'{"status": "ok"}'}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request, as WSGI has it."""
        try:
            file, _ = self.url_map.bind_to_environ(environ).match()
        except HTTPException:  # none of the page's: the backend knows, or refuses
            return self.backend(environ, start_response)
        body = self.generated_files.get(file) or (PAGE_FOLDER / file).read_bytes()
        media_type = MEDIA_TYPES.get(pathlib.Path(file).suffix, "application/json")
        return Response(body, headers=HEADERS, mimetype=media_type)(environ, start_response)


def describe_model(folder: pathlib.Path) -> str:
    """Return a sentence on a SavedModel, from the manifest that `tfvae export` wrote; "" if there is none."""
    try:
        manifest = read_manifest(folder)
        config, parts = manifest["config"], manifest["parts"]
        settings = f"{config['objective']} on {config['dataset']}, {parts['arch']}"
        return f"{settings}, likelihood {parts['likelihood']}, prior {parts['prior']}, epoch {manifest['epoch']}"
    except (TfvaeError, KeyError):
        return ""


def read_condition_entry(folder: pathlib.Path) -> dict[str, Any] | None:
    """Return the entry `condition` of a SavedModel's manifest; None if it has none."""
    try:
        return read_manifest(folder).get("condition")
    except TfvaeError:
        return None


# --- the condition -----------------------------------------------------------------------------------------------


def find_condition(metadata: dict[str, Any], entry: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """Return {name, low, high} of the model's condition; None for a model without one.

    Args:
        metadata: the answer to a request for the model's metadata.
        entry: the entry `condition` of the model's manifest; None is the one in `metadata`, if any.

    Raises:
        UsageError: the model has a condition, and neither says which values it takes.
        DataError: `metadata` is not of TensorFlow Serving's form.
    """
    inputs = list_decode_inputs(metadata)
    if "condition" not in inputs:
        return None
    condition = describe_range(entry or metadata["metadata"].get("condition"))
    if condition is None and len(inputs["condition"]["shape"]) > 1:
        return {"name": "picture", "low": -1, "high": 1}  # pixels in [0, 1], or -1 for "not known"
    if condition is None:
        raise UsageError(
            "Expected a server that says which values the model's condition takes. Received: metadata without them. "
            "Name the SavedModel too:  tfvae explore SAVEDMODEL --server URL"
        )
    return condition


def describe_range(entry: Any) -> dict[str, Any] | None:
    """Return {name, low, high} for an entry `condition` of a manifest; None if it is of another form."""
    try:
        if "classes" in entry:
            names = {"names": list(map(str, entry["class_names"]))} if entry.get("class_names") else {}
            return {"name": str(entry["name"]), "low": -1, "high": int(entry["classes"]) - 1} | names
        if "shape" in entry:
            return {"name": str(entry["name"]), "low": -1, "high": 1}
        return {"name": str(entry["name"]), "low": float(entry["low"]), "high": float(entry["high"])}
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None


def list_decode_inputs(metadata: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return {input: {dtype, shape}} of the signature decode in a model's metadata; {} if it has none."""
    try:
        inputs = metadata["metadata"]["signature_def"]["signature_def"].get("decode", {"inputs": {}})["inputs"]
        return {
            key: {"dtype": info["dtype"], "shape": [int(dim["size"]) for dim in info["tensor_shape"].get("dim", ())]}
            for key, info in inputs.items()
        }
    except (KeyError, TypeError, AttributeError, ValueError):
        raise DataError("Expected metadata as TensorFlow Serving gives it. Received: other JSON.") from None


def read_json_response(response: TestResponse) -> dict[str, Any]:
    """Return the JSON of an answer with status 200.

    Raises:
        UsageError: another status; with the answer's error.
        DataError: no JSON.
    """
    text = response.get_data(as_text=True)
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if response.status_code != 200:
        message = content["error"] if isinstance(content, dict) and "error" in content else text
        raise UsageError(f"Expected a model that is served. Received: {escape_text(message)}.")
    if content is None:
        raise DataError("Expected metadata as TensorFlow Serving gives it. Received: no JSON.")
    return content
