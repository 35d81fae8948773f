"""Each kind of file that can run code, or hold Python objects, is loaded by one line of the package."""

import ast
import collections
import pathlib
import re

import tfvae

ROOT = pathlib.Path(tfvae.__file__).parents[1]
LOADERS = re.compile(
    r"(tf|tensorflow)\.(.*\.)?saved_model\.(load|load_v2|loader\.load)|(.*\.)?load_model|(.*\.)?load_partial"
    r"|(np|numpy)\.(load|lib\.format\.(open_memmap|read_array))|.*\.lite\.Interpreter|.*\.load_checkpoint|.*CheckpointReader"
    r"|.*\.import_(graph_def|meta_graph)|.*\.load_op_library|.*\.load_library|torch\..*load|.*TFSMLayer"
    r"|(c?[pP]ickle|dill|cloudpickle|joblib|marshal|shelve|yaml)(\..*)?|.*\.read_pickle|.*\.load_weights"
)
PLACES = {
    "tf.saved_model.load": "tfvae/safety/model_loading.py",
    "tf.train.load_checkpoint": "tfvae/safety/model_loading.py",
    "keras.saving.load_model": "tfvae/safety/model_loading.py",
    "tf.lite.Interpreter": "tfvae/safety/model_loading.py",
    "np.load": "tfvae/safety/array_files.py",
}


def list_names(tree):
    """Yield every dotted name that a module uses or imports, aliases written out."""
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                aliases[alias.asname or alias.name] = {"tensorflow": "tf", "numpy": "np"}.get(alias.name, alias.name)
                yield alias.name
        if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("tfvae"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            first, _, rest = name.partition(".")
            yield f"{aliases.get(first, first)}.{rest}"


def find_loads(paths):
    """{loader: files that name it, as often as they do}."""
    found = collections.defaultdict(list)
    for path in paths:
        for name in list_names(ast.parse(path.read_text())):
            if LOADERS.fullmatch(name):
                found[name].append(path.relative_to(ROOT).as_posix())
    return found


def test_each_kind_of_load_stands_in_one_place():
    paths = [*(ROOT / "tfvae").rglob("*.py"), *(ROOT / "export").rglob("*.py")]
    assert find_loads(paths) == {name: [place] for name, place in PLACES.items()}


def test_arrays_are_never_unpickled():
    """Neither there nor where they are written."""
    for path in (ROOT / "tfvae").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant) and node.value.value is False, path


def test_the_scan_finds_what_it_looks_for(tmp_path, monkeypatch):
    """Under other names, too."""
    monkeypatch.setattr("test_loading_places.ROOT", tmp_path)
    text = "import tensorflow as t\nimport pickle\nfrom keras.models import load_model\nimport numpy\n"
    (tmp_path / "a.py").write_text(text + "t.saved_model.load('x')\nload = numpy.load\n")
    assert set(find_loads([tmp_path / "a.py"])) == {
        "tf.saved_model.load",
        "pickle",
        "keras.models.load_model",
        "np.load",
    }
