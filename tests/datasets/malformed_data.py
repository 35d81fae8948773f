"""Some hundred arrays and picture folders at and beyond the edge of what is meant, each with what must come out.

A case is written into a folder of its own and named by a spec; `images` are those that must be read, in any order, or
None where the data must be refused.
"""

import dataclasses
import io
import itertools
import os
import zipfile
from collections.abc import Callable

import numpy as np
from PIL import Image

RNG = np.random.default_rng(20260101)
GOOD_SHAPES = [(20, 4, 4), (20, 4, 4, 1), (20, 4, 4, 3), (20, 4, 6, 4), (20, 1, 2, 1), (20, 4, 2, 2)]
BAD_SHAPES = [
    *((), (20,), (20, 16), (20, 4, 4, 5), (20, 4, 4, 1, 1), (0, 4, 4), (20, 0, 4), (20, 4, 0), (20, 4, 4, 0)),
    *((20, 128, 1), (20, 1, 128), (20, 128, 3), (28, 28, 1), (20, 6, 4), (20, 3, 8, 8)),
]
GOOD_TYPES = ["uint8", "bool", "float16", "float32", "float64", ">f4", "longdouble"]
BAD_TYPES = ["int8", "int16", "uint16", ">u2", "int32", "uint32", "int64", "uint64", "complex64", "complex128", "U3",
             "object", "S3", "datetime64[s]", "timedelta64[s]", "i4,f4", "V4"]  # fmt: skip
BAD_VALUES = {"NaN": np.nan, "inf": np.inf, "-inf": -np.inf, "below": -0.125, "just below": -1e-7, "above": 1.125,
              "grey": 255.0, "huge": 6e4, "both": -1.0}  # fmt: skip


@dataclasses.dataclass
class Case:
    """One data set.

    Attributes:
        name: of the case.
        make: writes it into a folder, which exists, and returns its spec.
        images: [N,H,W,C] that must be read; None: it must be refused.
        arrays: (images, labels or None) for those that Python may be given too.
    """

    name: str
    make: Callable[[str], str]
    images: np.ndarray | None = None
    arrays: tuple | None = None


def as_bytes(x):
    """What must be read of an array: bytes, with an axis of channels."""
    x = x * np.uint8(255) if x.dtype == bool else x
    x = x if x.dtype == np.uint8 else np.floor(x.astype(np.longdouble) * 255 + 0.5).astype(np.uint8)
    return x if x.ndim == 4 else x[..., None]


def draw_array(shape, dtype):
    """Numbers of this type; floats are whole multiples of 1/16, which every type holds."""
    kind = np.dtype(dtype)
    levels = RNG.integers(0, 17, shape)
    if kind.kind == "f":
        return (levels / 16).astype(kind)
    if kind.names or kind.kind == "V":
        return np.zeros(shape, kind)
    return np.asarray(levels * 15 if kind == np.uint8 else levels % 2).astype(kind)


def make_npz_case(name, images, is_good, labels=None, **others):
    def make(folder):
        given = {"x": images, **({} if labels is None else {"y": labels}), **others}
        np.savez(f"{folder}/a.npz", **given)
        return f"npz:{folder}/a.npz"

    arrays = None if others else (images, labels)
    return Case(name, make, as_bytes(np.asarray(images)) if is_good else None, arrays)


def list_array_cases():
    """Types and shapes, values, labels, test splits."""
    for dtype, shape in itertools.product(GOOD_TYPES + BAD_TYPES, GOOD_SHAPES + BAD_SHAPES):
        is_good = dtype in GOOD_TYPES and shape in GOOD_SHAPES
        yield make_npz_case(f"{dtype} {shape}", draw_array(shape, dtype), is_good)
    for dtype, (name, value) in itertools.product(("float16", "float32", "float64"), BAD_VALUES.items()):
        x = draw_array((20, 4, 4), dtype)
        x[3, 2, 1] = value
        yield make_npz_case(f"{name} in {dtype}", x, is_good=False)
    x = draw_array((20, 4, 4), "uint8")
    labels = {
        "few": np.zeros(19, int), "many": np.zeros(21, int), "floats": np.zeros(20), "negative": np.arange(20) - 1,
        "beyond int32": np.full(20, 2**31), "uint64": np.full(20, 2**64 - 1, np.uint64), "texts": np.full(20, "cat"),
        "flags": np.zeros(20, bool), "objects": np.array([0] * 20, object), "scalar": np.int64(3),
        "three axes": np.zeros((20, 1, 1), int), "two columns": np.zeros((20, 2), int), "NaN": np.full(20, np.nan),
    }  # fmt: skip
    for name, y in labels.items():
        yield make_npz_case(f"labels: {name}", x, is_good=False, labels=y)
    for name, y in {"a column": np.arange(20)[:, None], "bytes": np.arange(20).astype(np.uint8)}.items():
        yield make_npz_case(f"labels: {name}", x, is_good=True, labels=y)
    yield dataclasses.replace(make_npz_case("one image", x[:1], is_good=False), arrays=None)  # none for a test split
    tests = {"other side": x[:, :3], "colour": draw_array((20, 4, 4, 3), "uint8"), "int64": x.astype(int),
             "no images": x[:0], "NaN": np.full((20, 4, 4), np.nan), "other rank": x.reshape(20, 16)}  # fmt: skip
    for name, x_test in tests.items():
        yield make_npz_case(f"test images: {name}", x, is_good=False, x_test=x_test)
    for name, y in {"few": np.zeros(3, int), "negative": np.arange(20) - 1, "floats": np.zeros(20)}.items():
        yield make_npz_case(f"test labels: {name}", x, is_good=False, x_test=x, y_test=y)


def list_file_cases():
    """Files that are no archives, and archives that are damaged."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=draw_array((20, 4, 4), "uint8"))
    content = buffer.getvalue()
    contents = {"nothing": b"", "text": b"hello", "only magic": b"PK\x03\x04", "npy": b"\x93NUMPY\x01\x00"}
    contents |= {f"cut at {n}": content[:n] for n in (10, 40, 80, len(content) // 2, len(content) - 30)}
    contents |= {f"byte {n} changed": flip(content, n) for n in (60, 90, len(content) - 20)}
    for name, one in contents.items():
        yield Case(f"file: {name}", lambda folder, one=one: write(f"{folder}/a.npz", one, "npz"))
    for name in ("no such file", "a folder", "a pipe", "a link to nothing", "a member that is text"):
        yield Case(f"file: {name}", lambda folder, name=name: make_odd_file(folder, name))
    specs = ["npz:", "npz:a.npz,size=4", "folder:", "folder", "npz", "folder:/dev/null", "npz:/dev/null", "folder:\0",
             "npz:\0", "npz:" + "a" * 5000, "folder:" + "a" * 5000, "folder:nowhere", "sprites:sise=8", "digits:size=8",
             "gaussians:modes=0", "gaussians:modes=x", "gaussians:sigma=nan", "square:images=1e9", "mnist:size=-1",
             "fashion-mnist", "../mnist", "", ":", "folder:~nobody/x"]  # fmt: skip
    for spec in specs:
        yield Case(f"spec: {spec[:30]!r}", lambda folder, spec=spec: spec)


def flip(content, place):
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


def write(path, content, kind):
    with open(path, "wb") as file:
        file.write(content)
    return f"{kind}:{path}"


def make_odd_file(folder, name):
    path = f"{folder}/a.npz"
    if name == "a folder":
        os.mkdir(path)
    elif name == "a pipe":
        os.mkfifo(path)
    elif name == "a link to nothing":
        os.symlink("nowhere", path)
    elif name == "a member that is text":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", b"hello")
    return f"npz:{path}"


# --- folders -------------------------------------------------------------------------------------------------------


def list_folder_cases():
    """Ten grey pictures, with something else beside or instead of one of them."""
    levels = np.arange(10, dtype=np.uint8) * 20
    good = np.broadcast_to(levels[:, None, None, None], (10, 4, 4, 1))

    def case(name, edit=lambda root: None, options="size=4,channels=1", images=good):
        def make(folder):
            root = os.path.join(folder, "pictures")
            os.mkdir(root)
            for i, level in enumerate(levels):
                Image.fromarray(np.full((4, 4), level, np.uint8)).save(f"{root}/{i}.png")
            edit(root)
            return f"folder:{root}" + ("," + options if options else "")

        return Case(f"folder: {name}", make, images)

    yield case("as it is")
    names = ["a,b.png", "a=b.png", "ü.png", "a b.PNG", "-x.png", "new\nline.png", "\x1b[31m.png", "a" * 200 + ".png"]
    for name in names:
        path = "/" + name
        yield case(f"a file named {name[:12]!r}", lambda root, path=path: os.rename(f"{root}/3.png", root + path))
    damages = {"nothing": b"", "text": b"hello", "magic": b"\x89PNG\r\n\x1a\n", "cut": None}
    for (name, content), option in itertools.product(damages.items(), ("", ",bad-files=skip", ",bad-files=refuse")):
        kept = np.delete(good, 3, axis=0) if option != ",bad-files=refuse" else None
        for count in (1, 4):
            if count == 4:
                kept = good[4:] if option == ",bad-files=skip" else None
            first = 3 if count == 1 else 0
            yield case(
                f"{count} of {name}{option}",
                lambda root, content=content, places=range(first, first + count): damage(root, content, places),
                "size=4,channels=1" + option,
                kept,
            )
    for option in ("", ",bad-files=skip", ",bad-files=refuse"):
        options = "size=4,channels=1" + option
        yield case("all damaged" + option, lambda root: damage(root, b"", range(10)), options, None)
    wrong = (
        "sise=4|size=4,chanels=1|size=x|size=-1|size=4.5|size=|size|channels=2|channels=4|size=4,size=4|bad-files=maybe|"
        "bad-files=skip,bad-files=skip|size=1000000000|size=inf|=|a=|size=4,,sise=3| size=4|SIZE=4"
    ).split("|")
    for options in wrong:
        yield case(f"options {options}", options=options, images=None)
    yield case("no options", options="size=0", images=np.repeat(good, 3, axis=-1))
    yield case("another size among those kept", lambda root: save(root, "z.png", (5, 4)), "size=0,channels=1", None)
    others = {
        "a text": lambda root: write(f"{root}/x.txt", b"", ""),
        "a hidden file": lambda root: write(f"{root}/.x.png", b"", ""),
        "a folder named as a picture": lambda root: os.mkdir(f"{root}/x.png"),
        "a pipe named as a picture": lambda root: os.mkfifo(f"{root}/x.png"),
        "a broken link": lambda root: os.symlink("nowhere.png", f"{root}/x.png"),
        "a link out": lambda root: os.symlink("/etc/hostname", f"{root}/x.png"),
        "a link to itself": lambda root: os.symlink("x.png", f"{root}/x.png"),
        "a circle of folders": lambda root: os.symlink("..", f"{root}/x"),
        "empty folders": lambda root: os.makedirs(f"{root}/a/b/c"),
        "an odd suffix": lambda root: write(f"{root}/x.p\x07ng", b"", ""),
    }
    for name, edit in others.items():
        yield case(name, edit)
    for count in (0, 1, 2):
        kept = good[8:] if count == 2 else None  # one for training, one for tests
        yield case(f"only {count} left", lambda root, count=count: remove(root, count), images=kept)


def damage(root, content, numbers):
    for i in numbers:
        with open(f"{root}/{i}.png", "rb") as file:
            cut = file.read()[:40]
        write(f"{root}/{i}.png", cut if content is None else content, "")


def save(root, name, shape):
    Image.fromarray(np.zeros(shape, np.uint8)).save(f"{root}/{name}")


def remove(root, count):
    for i in range(10 - count):
        os.remove(f"{root}/{i}.png")


def list_cases():
    """All cases."""
    return [*list_array_cases(), *list_file_cases(), *list_folder_cases()]
