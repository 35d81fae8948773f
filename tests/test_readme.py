"""The README's code runs and its commands are understood."""

import pathlib
import re
import shlex

import pytest

from tfvae.cli.command_line import main, parse

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [
    line.strip().partition("  #")[0]
    for line in README.splitlines()
    if re.match(r"    tfvae \w+", line) and "|" not in line
]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_runs_as_shown(block, tmp_path, monkeypatch):
    """In an empty folder; shapes that a comment promises are checked in the other tests."""
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    assert "model" in names


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)[1:]
    if words[0] == "train" and "folder:" not in command:
        assert main([*words, "--dry-run"]) == 0
        assert capsys.readouterr().out.startswith("{")
    else:
        assert parse(words).verb == words[0]
    assert list(tmp_path.iterdir()) == []


def test_there_is_something_to_run():
    assert len(BLOCKS) >= 2 and len(COMMANDS) >= 6
