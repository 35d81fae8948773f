"""Short specs name a part everywhere: ``gaussian:sigma=optimal``, ``mlp:widths=512-256,latent=200``.

Nothing here imports TensorFlow, so that the command line can list every part and its options at once.
"""

import ast
import functools
import inspect
import pathlib
import re

from tfvae.errors import UsageError, describe_unknown

PACKAGE = pathlib.Path(__file__).parent

# Where each axis keeps its table of parts.
TABLES = {
    "objective": ("objectives/registry.py", "OBJECTIVES"),
    "likelihood": ("distributions/likelihoods.py", "LIKELIHOODS"),
    "arch": ("architectures/__init__.py", "ARCHITECTURES"),
    "prior": ("distributions/priors.py", "PRIORS"),
}


def parse_literal(text):
    """'3' -> 3, '0.5' -> 0.5, 'true' -> True, anything else -> the word itself."""
    if not isinstance(text, str):
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def parse_spec(spec):
    """'conv:width=64,latent=32' -> ('conv', {'width': 64, 'latent': 32}).

    Raises:
        UsageError: an option without ``=``, or given twice.
    """
    name, _, rest = str(spec).partition(":")
    options = {}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UsageError(f"Expected name:option=value,... Received: {spec!r} ({item!r} has no value).")
        key = key.replace("-", "_")
        if key in options:
            raise UsageError(f"Expected each option once. Received: {spec!r} ({key!r} is there twice).")
        options[key] = parse_literal(value)
    return name, options


def format_spec(name, options):
    """The inverse of `parse_condition`."""
    return name + ":" * bool(options) + ",".join(f"{key}={value}" for key, value in options.items())


def list_keyword_options(cls):
    """The keyword-only options of a part and their defaults, its base classes' own included."""
    options = {}
    for base in reversed(cls.__mro__):
        init = vars(base).get("__init__")
        if init is None or not base.__module__.startswith("tfvae") and base is not cls:
            continue
        for p in inspect.signature(init).parameters.values():
            if p.kind is p.KEYWORD_ONLY and p.default is not p.empty:
                options[p.name] = p.default
    return options


def check_options(kind, name, known, options):
    """Refuse options that are not among those `known` {name: default} of the part, or of the wrong type."""
    for key, value in options.items():
        if key not in known:
            raise UsageError(f"{kind} {name!r}: " + describe_unknown("an option", key, known or ["(none)"]))
        default = known[key]
        if isinstance(default, bool):
            fits = isinstance(value, bool)
        elif isinstance(default, (int, float)):
            fits = isinstance(value, (int, float)) and not isinstance(value, bool)
            fits = fits and (isinstance(default, float) or value == int(value))
        else:
            fits = True
        if not fits:
            kind_of = type(default).__name__
            raise UsageError(f"{kind} {name!r}: expected {key} to be {kind_of}. Received: {value!r}.")


def build_part(kind, table, spec, **context):
    """Make the part that `spec` names; an object that is not a string is returned as it is.

    Args:
        kind: what the table holds, for messages ('likelihood').
        table: name -> class.
        spec: 'name:option=value,...' or a finished part.
        **context: arguments that do not come from the spec.

    Raises:
        UsageError: unknown name or option.
    """
    if not isinstance(spec, str):
        return spec
    name, options = parse_spec(spec)
    if name not in table:
        raise UsageError(describe_unknown(kind, name, table))
    check_options(kind, name, list_keyword_options(table[name]), options)
    return table[name](**context, **options)


def check_spec(kind, spec):
    """Refuse an unknown part or option as `build_part` would, importing nothing; values are not checked."""
    name, options = parse_spec(spec)
    known = read_signatures(*TABLES[kind])
    if name not in known:
        raise UsageError(describe_unknown(kind, name, known))
    check_options(kind, name, known[name][1], options)


@functools.cache
def read_classes(file):
    """{name: class definition} of a source file and of what it imports from this package."""
    tree = ast.parse((PACKAGE / file).read_text())
    classes = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfvae."):
            source = PACKAGE.parent / (node.module.replace(".", "/") + ".py")
            if source.exists():
                classes |= read_classes(source)
        elif isinstance(node, ast.ClassDef):
            classes[node.name] = node
    return classes


def read_table(file, table):
    """{name: class name} of the dict literal `table`, read from its source."""
    for node in ast.parse((PACKAGE / file).read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == table:
            return {key.value: value.id for key, value in zip(node.value.keys, node.value.values)}
    raise LookupError(f"{file} has no dict literal {table}")


def read_summary(cls, classes):
    """The first line of a class's docstring."""
    return (ast.get_docstring(classes[cls]) or "").partition("\n")[0]


def read_options(cls, classes):
    """{keyword-only option: default} of a class definition, its base classes' included."""
    node, found = classes.get(cls), {}
    for base in node.bases if node else ():
        found |= read_options(getattr(base, "id", ""), classes)
    for item in node.body if node else ():
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            for arg, default in zip(item.args.kwonlyargs, item.args.kw_defaults):
                if default is not None:
                    found[arg.arg] = ast.literal_eval(default)
    return found


def read_option_texts(cls, classes):
    """{option: one line} from the Args section of a class's docstring, its base classes' included."""
    node, texts = classes.get(cls), {}
    for base in node.bases if node else ():
        texts |= read_option_texts(getattr(base, "id", ""), classes)
    _, _, section = ((ast.get_docstring(node) if node else "") or "").partition("Args:\n")
    for entry in re.split(r"\n {4}(?=\S)", "\n" + section.partition("\n\n")[0]):
        names, _, text = entry.partition(": ")
        text = " ".join(text.replace("`", "").split()).rstrip(".")
        texts |= {name.strip(): text for name in names.split(",") if text}
    return texts


@functools.cache
def read_signatures(file, table):
    """{name: (summary, {option: default})} of a table of parts, read from its source without importing it.

    Args:
        file: path relative to the package, 'objectives.py'.
        table: the name of its dict literal, 'OBJECTIVES'.
    """
    classes = read_classes(file)
    return {
        name: (read_summary(cls, classes), read_options(cls, classes)) for name, cls in read_table(file, table).items()
    }


def read_part_texts(file, table, name):
    """{option: one line of help} of part `name`; arguments as for `read_signatures`."""
    return read_option_texts(read_table(file, table)[name], read_classes(file))
