"""Files of metadata as somebody else may have written them: every way to break one that we thought of."""

import copy
import json
import os
import random
import shutil

ESCAPES = "\x1b]0;title\x07\x1b[31mred\x1b[2J\u202e"
HUGE = 10 * 2**20  # characters
WRONG_VALUES = {
    "null": None,
    "true": True,
    "minus one": -1,
    "zero": 0,
    "fraction": 0.5,
    "huge number": 10**400,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "text": "x",
    "empty text": "",
    "escapes": ESCAPES,
    "path that leads out": "../../../etc/passwd",
    "absolute path": "/etc/passwd",
    "list": [],
    "object": {},
    "long text": "x" * 5000,
}


def find_places(value, place=()):
    """Return the way to each value inside a document, from the outside in."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place] * bool(place) + [one for key, item in items for one in find_places(item, (*place, key))]


def replace_value(document, place, value):
    """Return a copy of a document with another value at a place."""
    document = copy.deepcopy(document)
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return document


def iterate_whole_texts(text):
    """Yield (title, bytes or a function that makes them) of files that are no JSON object, or none to accept."""
    data = text.encode()
    for title, share in (("nothing", 0), ("a quarter", 0.25), ("half", 0.5), ("all but the end", 0.97)):
        yield title, data[: int(share * len(data))]
    for title, other in (("a list", "[1]"), ("a number", "3"), ("null", "null"), ("a text", '"x"'), ("NaN", "NaN")):
        yield title, other.encode()
    yield "not UTF-8", data.replace(b'"', b'"\xff\xfe', 1)
    yield "UTF-16", text.encode("utf-16")
    yield "NUL bytes", b"\0" * 1000
    yield "escapes", ESCAPES.encode()
    yield "a lone surrogate", b'{"a\\ud800": "\\udcff"}'
    yield "nested lists", b"[" * 100_000
    yield "nested objects", b'{"a":' * 3000 + b"1" + b"}" * 3000
    yield "a name twice", data.replace(b"{", b'{"twice": 1, "twice": 2, ', 1)
    yield "a long text", lambda: json.dumps({"x": "y" * HUGE}).encode()
    yield "a long name", lambda: json.dumps({"y" * 2**20: 1}).encode()
    yield "many names", lambda: json.dumps({str(i): {} for i in range(150_000)}).encode()
    yield "a number of many digits", b'{"x": ' + b"9" * 5000 + b"}"


def iterate_wrong_documents(document, count, seed):
    """Yield (title, bytes) of `count` documents in which one value is wrong, one is missing, or one is too many."""
    draw = random.Random(seed)
    places = find_places(document)
    for number in range(count):
        place = draw.choice(places)
        title, value = draw.choice([*WRONG_VALUES.items()])
        yield f"{title} for {place} ({number})", json.dumps(replace_value(document, place, value)).encode()
    for name in (ESCAPES, "../outside", "/absolute", "x" * 300, "unknown", ""):
        yield f"the name {name[:20]!r}", json.dumps({**document, name: document[next(iter(document))]}).encode()
    for name in document:
        yield f"no {name}", json.dumps({key: item for key, item in document.items() if key != name}).encode()


def iterate_strange_files():
    """Yield (title, function that puts something else than a plain file at a path)."""
    yield "no file", lambda path: None
    yield "a folder", lambda path: path.mkdir()
    yield "a pipe", os.mkfifo
    yield "a link to a device", lambda path: path.symlink_to("/dev/zero")
    yield "a link that leads out", lambda path: path.symlink_to("/etc/passwd")
    yield "a link to itself", lambda path: path.symlink_to(path.name)


def remove(path):
    """Remove whatever stands at a path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def iterate_damages(path, count, seed=0):
    """Yield (title, function without arguments that damages the file at `path`); single values in JSON alone."""
    text = path.read_text()

    def write(data):
        remove(path)
        path.write_bytes(data() if callable(data) else data)

    def put(make):
        remove(path)
        make(path)

    documents = iterate_wrong_documents(json.loads(text), count, seed) if path.suffix == ".json" else ()
    for title, data in (*iterate_whole_texts(text), *documents):
        yield title, lambda data=data: write(data)
    for title, make in iterate_strange_files():
        yield title, lambda make=make: put(make)
