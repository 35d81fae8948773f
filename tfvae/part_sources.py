"""The tables of built-in parts and their options, read from the source without importing it.

So the command line lists every part with its options at once, and refuses mistakes before TensorFlow is loaded.
"""

from __future__ import annotations

import ast
import functools
import pathlib
from collections.abc import Mapping
from typing import Any

from tfvae import specs
from tfvae.errors import UsageError
from tfvae.option_values import Option, translate_off
from tfvae.specs import PartSignature

PACKAGE = pathlib.Path(__file__).parent

# Where each axis keeps its table of parts, a dict literal name -> class.
TABLES = {
    "objective": ("objectives/registry.py", "OBJECTIVES"),
    "likelihood": ("distributions/likelihoods.py", "LIKELIHOODS"),
    "arch": ("architectures/__init__.py", "ARCHITECTURES"),
    "prior": ("distributions/priors.py", "PRIORS"),
}


@functools.cache
def read_parts(kind: str) -> dict[str, PartSignature]:
    """Return {name: `PartSignature`} of the built-in parts of an axis.

    Args:
        kind: objective, likelihood, arch or prior.

    Example:
        >>> read_parts("prior")["mixture"].defaults
        {'components': 10}
    """
    file, table = TABLES[kind]
    return {name: read_part(name, PACKAGE / file, cls) for name, cls in read_table(PACKAGE / file, table).items()}


@functools.cache
def parse_source(path: pathlib.Path) -> ast.Module:
    """Return the syntax tree of a source file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def read_table(path: pathlib.Path, table: str) -> dict[str, str]:
    """Return {name: class name} of the dict literal `table` in a source file."""
    for node in parse_source(path).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if getattr(target, "id", "") == table and isinstance(node, (ast.Assign, ast.AnnAssign)):
            if isinstance(node.value, ast.Dict):
                return {
                    ast.literal_eval(key): ast.unparse(value)
                    for key, value in zip(node.value.keys, node.value.values)
                    if key is not None
                }
    raise LookupError(f"{path} has no dict literal {table}")


def find_module_file(module: str) -> pathlib.Path | None:
    """Return the source file of a module of this package."""
    base = PACKAGE.parent / module.replace(".", "/")
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def find_class(path: pathlib.Path, name: str) -> tuple[pathlib.Path, ast.ClassDef] | None:
    """Return (source file, definition) of the class that `name` means in a file; None: not one of this package."""
    module_name, _, rest = name.partition(".")
    for node in parse_source(path).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return path, node
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").partition(".")[0] == "tfvae":
            continue
        for alias in node.names:
            if (alias.asname or alias.name) != module_name:
                continue
            submodule = find_module_file(f"{node.module}.{alias.name}")
            if rest and submodule:
                return find_class(submodule, rest)
            source = find_module_file(node.module or "")
            return find_class(source, alias.name) if source else None
    return None


def read_part(name: str, path: pathlib.Path, cls: str) -> PartSignature:
    """Return the `PartSignature` of class `cls`, as a source file names it; base classes count."""
    options: dict[str, Option] = {}
    literals: dict[str, dict[str, Any]] = {word: {} for word in specs.CLASS_LITERALS}
    classes = list_bases(path, cls)
    for node in classes:
        texts = specs.parse_argument_texts(ast.get_docstring(node))
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                options |= read_keyword_options(item, texts)
            target = item.targets[0] if isinstance(item, ast.Assign) else getattr(item, "target", None)
            word = getattr(target, "id", "")
            if word in literals and isinstance(item, (ast.Assign, ast.AnnAssign)) and item.value:
                literals[word] |= ast.literal_eval(item.value)
    summary = specs.parse_summary(ast.get_docstring(classes[-1])) if classes else ""
    return PartSignature(name, summary, options, *literals.values())


def list_bases(path: pathlib.Path, cls: str) -> list[ast.ClassDef]:
    """Return the definitions of a class and of its base classes in this package, the class itself last."""
    definition = find_class(path, cls)
    if definition is None:
        return []
    source, node = definition
    bases: list[ast.ClassDef] = []
    for base in node.bases:
        bases += [one for one in list_bases(source, ast.unparse(base)) if one not in bases]
    return [*bases, node]


def read_keyword_options(init: ast.FunctionDef, texts: dict[str, str]) -> dict[str, Option]:
    """Return {name: `Option`} of the keyword-only arguments of a constructor that have a literal default."""
    options = {}
    for argument, default in zip(init.args.kwonlyargs, init.args.kw_defaults):
        if default is None:
            continue
        value = ast.literal_eval(default)
        if specs.is_option(argument.arg, value):
            annotation = ast.unparse(argument.annotation) if argument.annotation else ""
            options[argument.arg] = specs.make_option(argument.arg, value, annotation, texts.get(argument.arg, ""))
    return options


def check_spec(kind: str, spec: str) -> None:
    """Refuse an unknown part or option before TensorFlow is loaded; the part itself checks values.

    A class of the user's own, by import path or by a registered name, is only checked when it is imported.

    Raises:
        UsageError: an unknown name or option, or a value of another kind.
    """
    name, options = specs.parse_spec(spec)
    part = read_parts(kind).get(name)
    if part is not None:
        specs.check_options(kind, part, specs.translate_options(part, options))
    elif not specs.is_import_path(name) and name not in specs.list_registered_names(kind):
        raise UsageError(specs.describe_unknown_part(kind, name, read_parts(kind)))


def find_replaced_settings(kind: str, spec: str) -> dict[str, str]:
    """Return {setting of the run: option that decides in its place} of a built-in part."""
    part = read_parts(kind).get(specs.read_name(spec))
    return dict(part.replaced_settings) if part else {}


def name_legacy_defaults(kind: str, spec: str) -> str:
    """Return a spec of 0.1.0 with the options spelt out whose defaults have changed since.

    Example:
        >>> name_legacy_defaults("objective", "geco:kappa=3")
        'geco:kappa=3,controller=pi'
    """
    name, options = specs.parse_spec(spec)
    part = read_parts(kind).get(name)
    added = {key: value for key, value in part.legacy_defaults.items() if key not in options} if part else {}
    return specs.format_spec(name, options | added) if added else spec


def translate_spec(kind: str, spec: str, old_settings: Mapping[str, Any] | None = None) -> str:
    """Return a spec in today's words; specs of other classes than the built-in ones are returned as they are.

    Args:
        kind: objective, likelihood, arch or prior.
        spec: a spec, perhaps in the words of 0.1.0.
        old_settings: {name: value} of an old run, whose options without effect are left out; None: none are.

    Example:
        >>> translate_spec("objective", "geco:kappa=3,rate=0.01")
        'geco:kappa=3,multiplier_learning_rate=0.01'
    """
    name, options = specs.parse_spec(spec)
    part = read_parts(kind).get(name) if options else None
    if part is None:
        return spec
    translated = specs.translate_options(part, options, is_old_file=old_settings is not None)
    for key in specs.find_ineffective_options(part, translated, old_settings) if old_settings is not None else ():
        del translated[key]
    effective = {k: v for k, v in translated.items() if v is not None or part.defaults.get(k, v) is not None}
    return spec if effective == options else specs.format_spec(name, effective)


def restore_old_words(kind: str, spec: str) -> str:
    """Return a spec as 0.1.0 would have written it: by its names, and without what was its default."""
    name, options = specs.parse_spec(spec)
    part = read_parts(kind).get(name)
    if part:
        for key, value in part.legacy_defaults.items():
            if options.setdefault(key, part.defaults[key]) == value:
                del options[key]
    old_names = {new: old for old, new in part.aliases.items()} if part else {}
    old_values = {old_names.get(key, key): translate_off(value) for key, value in options.items()}
    if part:
        old_values = {key: part.legacy_off.get(key) if value is None else value for key, value in old_values.items()}
    return spec if old_values == specs.parse_spec(spec)[1] else specs.format_spec(name, old_values)


def read_defaults(kind: str, name: str) -> dict[str, object]:
    """Return {option: value if it is not given} of a built-in part; {} for a class of the user's own."""
    part = read_parts(kind).get(name)
    return part.effective_defaults if part else {}
