"""Import paths: what is named is what comes back, and every failure says what was wrong and where."""

import importlib.metadata
import os
import pathlib
import subprocess
import sys

import pytest

import tfvae
from tfvae.errors import UsageError
from tfvae.runtime.import_paths import find_entry_points, import_object, load_entry_point
from tfvae.specs import is_import_path


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """The working directory of a user: sys.path and sys.modules are as before after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    modules = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - modules:
        if name.startswith("own_"):
            del sys.modules[name]


@pytest.mark.parametrize(
    "name, expected",
    [
        ("my_package.losses.FreeBits", True),
        ("module.name", True),
        ("geco", False),
        ("../mnist", False),
        ("a..b", False),
        (".a", False),
        ("a.", False),
        ("emnist/1.0.0", False),
        ("", False),
        ("a.b\n", False),
        ("\u00e9cole.x", False),
    ],
)
def test_only_what_is_an_import_path_is_imported(name, expected):
    # What is trusted is decided by is_import_path, so nothing else may reach an import.
    assert is_import_path(name) is expected
    with pytest.raises(UsageError, match="no module" if expected else "Expected an import path"):
        import_object(name)


def test_a_module_of_the_working_directory(directory):
    (directory / "own_losses.py").write_text(
        "class Outer:\n    class Inner:\n        value = 3\n\ndef late():\n    import own_late\n    return own_late.x\n"
    )
    assert import_object("own_losses.Outer").Inner.value == 3
    assert import_object("own_losses.Outer.Inner") is import_object("own_losses.Outer").Inner
    # A module written later is found too, also by an import inside the user's function.
    (directory / "own_late.py").write_text("x = 4\n")
    assert import_object("own_losses.late")() == 4
    assert sys.path.count(str(directory)) == 1


def test_a_module_inside_packages(directory):
    package = directory / "own_package" / "deep"
    package.mkdir(parents=True)
    (directory / "own_package" / "__init__.py").write_text("")
    (package / "part.py").write_text("def make():\n    return 'made'\n")  # a namespace package
    assert import_object("own_package.deep.part.make")() == "made"


def test_installed_packages_are_found_as_well(directory):
    assert import_object("collections.OrderedDict") is __import__("collections").OrderedDict
    assert import_object("os.path.join") is os.path.join


@pytest.mark.parametrize("path", ["losses", "a..b", "my package.x", "", "a.b:c"])
def test_a_text_that_is_no_import_path(path):
    with pytest.raises(UsageError, match="Expected an import path such as my_package.*Received"):
        import_object(path)


def test_a_module_that_is_not_there(directory):
    with pytest.raises(UsageError, match="'own_missing.x.y'.*no module 'own_missing'.*current directory.*install"):
        import_object("own_missing.x.y")


def test_a_name_that_is_not_there(directory):
    (directory / "own_losses.py").write_text("class FreeBits:\n    pass\n")
    with pytest.raises(UsageError, match="own_losses.py.*no 'FreeBit';.*Did you mean 'FreeBits'"):
        import_object("own_losses.FreeBit")
    with pytest.raises(UsageError, match="'own_losses.FreeBits' has no 'floor'"):
        import_object("own_losses.FreeBits.floor")
    with pytest.raises(UsageError, match="'own_losses'.* has no 'sub'"):
        import_object("own_losses.sub.name")


def test_a_module_is_no_part(directory):
    (directory / "own_package").mkdir()
    (directory / "own_package" / "__init__.py").write_text("from . import part\n")
    (directory / "own_package" / "part.py").write_text("")
    with pytest.raises(UsageError, match="class or a function. Received: a module"):
        import_object("own_package.part")


@pytest.mark.parametrize(
    "text, cause, message",
    [
        ("\n\n1 / 0\n", ZeroDivisionError, "ZeroDivisionError: division by zero.*own_broken.py, line 3"),
        ("import own_dependency\n", ModuleNotFoundError, "No module named 'own_dependency'.*own_broken.py, line 1"),
        ("def x(:\n", SyntaxError, "SyntaxError: .*own_broken.py, line 1"),
        ("raise SystemExit(3)\n", SystemExit, "SystemExit: 3"),
        ("import collections\ncollections.no_such\n", AttributeError, "AttributeError.*no_such.*line 2"),
    ],
)
def test_an_error_of_the_users_module_is_named_and_chained(directory, text, cause, message):
    (directory / "own_broken.py").write_text(text)
    with pytest.raises(UsageError, match=f"'own_broken.make'.*{message}") as caught:
        import_object("own_broken.make")
    assert type(caught.value.__cause__) is cause
    assert "correct that module" in str(caught.value)


def test_the_working_directory_counts_for_a_console_script(directory):
    # Of an installed console script the script's folder, not the current one, is on sys.path.
    (directory / "own_losses.py").write_text("value = 5\n")
    (directory / "bin").mkdir()
    script = directory / "bin" / "script.py"
    script.write_text(
        "from tfvae.runtime.import_paths import import_object\nprint(import_object('own_losses.value'))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(tfvae.__file__).parents[1])}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=directory, env=environment)
    assert done.stdout.strip() == "5", done.stderr


def install(directory, entries):
    """Write what an installed package leaves on sys.path: its metadata with entry points."""
    folder = directory / "own_plugin-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: own-plugin\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(entries)
    sys.path.insert(0, str(directory))


def test_entry_points_are_found_and_loaded(directory):
    install(directory, "[tfvae.own_group]\nfirst = own_plugin:make\nbroken = own_plugin:nothing\n")
    (directory / "own_plugin.py").write_text("def make():\n    return 6\n")
    points = find_entry_points("tfvae.own_group")
    assert sorted(points) == ["broken", "first"]
    assert load_entry_point(points["first"])() == 6
    with pytest.raises(UsageError, match="Entry point 'broken' of the group 'tfvae.own_group'.*no 'nothing'"):
        load_entry_point(points["broken"])


def test_an_entry_point_may_name_what_is_installed():
    point = importlib.metadata.EntryPoint("points", "collections:OrderedDict", "tfvae.datasets")
    assert load_entry_point(point).__name__ == "OrderedDict"
