"""Short specs name a part everywhere: ``gaussian:sigma=optimal``, ``mlp:widths=512-256,latent=200``.

The grammar is ``name:option=value,...``. A name with a dot (``my_package.my_module.FreeBits:floor=4``) is the import
path of a class of the user's own. Nothing here imports TensorFlow; `tfvae.part_sources` reads the options of built-in
parts from their source, and `tfvae.runtime.parts` makes the parts.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tfvae.errors import UsageError, describe_unknown, describe_value
from tfvae.option_values import KINDS, OFF_WORD, Option, is_same_value, parse_literal, translate_off

# The axes of a model and its data, with the groups of entry points in which packages register names of their own.
ENTRY_POINT_GROUPS = {
    "objective": "tfvae.objectives",
    "likelihood": "tfvae.likelihoods",
    "arch": "tfvae.architectures",
    "prior": "tfvae.priors",
    "dataset": "tfvae.datasets",
}

# Keyword arguments that the model hands to a part; a spec cannot set them, though they have defaults.
PROVIDED_ARGUMENTS = ("context_width", "context_map_shape")

# The dict literals of a class that say more of its options, see `PartSignature`.
CLASS_LITERALS = (
    "option_aliases",
    "legacy_off",
    "option_requires",
    "implied_defaults",
    "option_ineffective_with",
    "replaced_settings",
    "legacy_defaults",
    "option_units",
    "option_words",
)


@dataclasses.dataclass(frozen=True)
class PartSignature:
    """What a spec may say about a part: its options and the old words for them.

    Args:
        name: the part's name in specs.
        summary: the first sentence of its docstring.
        options: {name: `Option`}.
        aliases: {old word: option}, the class's literal ``option_aliases``.
        legacy_off: {old word: value} that meant "off" or "default" in 0.1.0, the class's literal ``legacy_off``.
        requires: {option: {other option: allowed values}}, the class's literal ``option_requires``: an option that
            has no effect unless the other one has one of the values.
        implied: {option: value} that stands for its default None, the class's literal ``implied_defaults``: to spell
            the value out changes nothing.
        ineffective_with: {option: {other option or setting: values}}, the class's literal ``option_ineffective_with``:
            an option that has no effect where the other one has one of the values; of a spec, its name counts.
        replaced_settings: {setting of the run: option}, the class's literal ``replaced_settings``: a setting that has
            no effect, for the option decides.
        legacy_defaults: {option: its default in 0.1.0} where that was another, the class's literal
            ``legacy_defaults``: what a run of 0.1.0 that does not name the option was trained with.
        units: {option: unit} that a number may have behind it, the class's literal ``option_units``.
        words: {option: words} that may stand in a number's place, the class's literal ``option_words``.
    """

    name: str
    summary: str = ""
    options: Mapping[str, Option] = dataclasses.field(default_factory=dict)
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    legacy_off: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    requires: Mapping[str, Mapping[str, tuple[Any, ...]]] = dataclasses.field(default_factory=dict)
    implied: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    ineffective_with: Mapping[str, Mapping[str, tuple[Any, ...]]] = dataclasses.field(default_factory=dict)
    replaced_settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    legacy_defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in {**self.units, **self.words}:
            unit, words = self.units.get(name, ""), self.words.get(name, ())
            number = dataclasses.replace(self.options[name], kind=float, unit=unit, words=words)
            object.__setattr__(self, "options", {**self.options, name: number})

    @property
    def defaults(self) -> dict[str, Any]:
        """The default of each option."""
        return {name: option.default for name, option in self.options.items()}

    @property
    def effective_defaults(self) -> dict[str, Any]:
        """The value that each option has if it is not given."""
        return self.defaults | dict(self.implied)


# --- the grammar -------------------------------------------------------------------------------------------------


def is_import_path(name: str) -> bool:
    """Return whether `name` is written like an import path, ``my_module.MyClass``."""
    return re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", name) is not None


def parse_spec(spec: object) -> tuple[str, dict[str, Any]]:
    """Split 'conv:width=64,latent=32' into ('conv', {'width': 64, 'latent': 32}).

    Raises:
        UsageError: an option without ``=``, given twice, or infinite.
    """
    name, _, rest = str(spec).partition(":")
    options: dict[str, Any] = {}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UsageError(f"Expected name:option=value,... Received: {spec!r} ({item!r} has no value).")
        key = key.replace("-", "_")
        if key in options:
            raise UsageError(f"Expected each option once. Received: {spec!r} ({key!r} is there twice).")
        if re.fullmatch(r"[+-]?(inf|infinity|nan)", value.strip(), re.IGNORECASE):
            raise UsageError(f"Expected {key} to be finite. Received: {spec!r}.")
        options[key] = parse_literal(value)
    return name, options


def format_spec(name: str, options: Mapping[str, Any]) -> str:
    """Return the spec that `parse_spec` splits into `name` and `options`."""
    words = {key: OFF_WORD if value is None else value for key, value in options.items()}
    return name + ":" * bool(words) + ",".join(f"{key}={value}" for key, value in words.items())


# --- the options of classes --------------------------------------------------------------------------------------


def parse_annotation(text: str) -> tuple[type, bool] | None:
    """Return (kind, whether None is allowed) of an annotation such as ``float | None``; None: it names no kind."""
    names = set(re.findall(r"\w+", re.sub(r"(['\"]).*?\1", "str", text)))
    optional = bool({"None", "NoneType", "Optional"} & names)
    kinds = [kind for word, kind in KINDS.items() if word in names]
    if "Literal" in names or str in kinds:
        return str, optional
    return (kinds[-1], optional) if kinds in ([int], [float], [bool], [int, float]) else None


def make_option(name: str, default: Any, annotation: str = "", text: str = "") -> Option:
    """Return the `Option` of a keyword argument; without an annotation the default says its kind."""
    kind, optional = parse_annotation(annotation) or (type(default) if default is not None else str, default is None)
    return Option(name, default, kind, optional or default is None, text)


def parse_argument_texts(docstring: str | None) -> dict[str, str]:
    """Return {argument: one line} from the ``Args:`` section of a docstring without indentation."""
    _, _, section = (docstring or "").partition("Args:\n")
    texts: dict[str, str] = {}
    for entry in re.split(r"\n {4}(?=\S)", "\n" + section.partition("\n\n")[0]):
        names, _, text = entry.partition(": ")
        line = " ".join(text.replace("`", "").split()).rstrip(".")
        texts |= {name.strip(): line for name in names.split(",") if line}
    return texts


def parse_summary(docstring: str | None) -> str:
    """Return the first sentence of a docstring as one line."""
    paragraph = " ".join((docstring or "").partition("\n\n")[0].split())
    return re.split(r"(?<!\bal\.)(?<=\.) +(?=[A-Z`])", paragraph)[0]


def list_keyword_options(cls: type) -> dict[str, Option]:
    """Return {name: `Option`} of the keyword-only arguments of a class, those of its base classes included."""
    options: dict[str, Option] = {}
    for base in reversed(cls.__mro__):
        init = vars(base).get("__init__")
        if init is None or base is object or base.__module__.partition(".")[0] in ("keras", "tensorflow"):
            continue
        texts = parse_argument_texts(inspect.getdoc(base))
        for p in inspect.signature(init).parameters.values():
            if p.kind is p.KEYWORD_ONLY and is_option(p.name, p.default):
                annotation = p.annotation if isinstance(p.annotation, str) else inspect.formatannotation(p.annotation)
                options[p.name] = make_option(p.name, p.default, annotation, texts.get(p.name, ""))
    return options


def is_option(name: str, default: Any) -> bool:
    """Return whether a keyword-only argument with this default is one that specs can set."""
    return name not in PROVIDED_ARGUMENTS and (default is None or isinstance(default, (bool, int, float, str)))


def describe_class(name: str, cls: type) -> PartSignature:
    """Return the `PartSignature` of a class."""
    literals: dict[str, dict[str, Any]] = {word: {} for word in CLASS_LITERALS}
    for base in reversed(cls.__mro__):
        for word in literals:
            literals[word] |= vars(base).get(word, {})
    return PartSignature(name, parse_summary(inspect.getdoc(cls)), list_keyword_options(cls), *literals.values())


# --- the options of a spec ---------------------------------------------------------------------------------------


def translate_options(
    part: PartSignature | type, options: Mapping[str, Any], is_old_file: bool = False
) -> dict[str, Any]:
    """Return `options` in today's words: old names renamed, ``none`` and old values for "off" as None.

    Args:
        part: the class, or what `describe_class` says of it.
        options: {name: value}; names that the part does not know are left as they are.
        is_old_file: whether old values for "off" also count beside names that are still in use: ``mlp:widths=``.

    Raises:
        UsageError: an option is there by its old and by its new name.
    """
    if isinstance(part, type):
        part = describe_class(part.__name__, part)
    translated: dict[str, Any] = {}
    for key, value in options.items():
        name = part.aliases.get(key, key)
        if name in translated:
            raise UsageError(f"Expected each option of {part.name!r} once. Received: {name} twice, also as {key}.")
        option = part.options.get(name)
        is_old = is_old_file or key in part.aliases
        if is_old and key in part.legacy_off and is_same_value(value, part.legacy_off[key]):
            value = None if option and option.optional else part.defaults.get(name)
        translated[name] = translate_off(value) if option and option.optional else value
    return translated


def check_options(kind: str, part: PartSignature, options: Mapping[str, Any]) -> None:
    """Refuse options that the part does not have, that are of another kind, or that have no effect.

    Args:
        kind: the axis, for messages.
        part: the part.
        options: in today's words, see `translate_options`.

    Raises:
        UsageError: as above.
    """
    for key, value in options.items():
        if key not in part.options:
            unknown = describe_unknown("an option", key, list(part.options) or ["(none)"])
            raise UsageError(f"{kind} {part.name!r}: {unknown}")
        option = part.options[key]
        if not option.accepts(value):
            received = f"{key}={'' if is_same_value(value, '') else describe_value(value)}"
            raise UsageError(
                f"{kind} {part.name!r}: expected {key} to be {option.describe_values(value)}. Received: {received}."
            )
    check_effects(kind, part, options)


def check_effects(kind: str, part: PartSignature, options: Mapping[str, Any], settings: Mapping[str, Any] = {}) -> None:
    """Refuse options that have no effect beside the others, or beside the settings of the run.

    Args:
        kind: the axis, for messages.
        part: the part.
        options: in today's words.
        settings: {name: value} of the run, as far as they are known.

    Raises:
        UsageError: there is one.
    """
    for key, (other, way_out) in find_ineffective_options(part, options, settings).items():
        values = {**settings, **part.defaults, **options}
        received, beside = (format_spec("", {name: values.get(name)})[1:] for name in (key, other))
        raise UsageError(
            f"{kind} {part.name!r}: {key} has no effect with {beside}. Received: {received}. "
            f"Leave {key} out, or {way_out}."
        )


def find_ineffective_options(
    part: PartSignature, options: Mapping[str, Any], settings: Mapping[str, Any] = {}
) -> dict[str, tuple[str, str]]:
    """Return {option: (what it has no effect beside, the way out)}; a default has no effect to lose.

    Args:
        part: the part.
        options: in today's words.
        settings: {name: value} of the run, as far as they are known.
    """
    values = {**settings, **part.defaults, **options}
    reasons: dict[str, tuple[str, str]] = {}
    for key, value in options.items():
        if value is None or is_same_value(value, part.defaults.get(key)):
            continue
        for other, allowed in part.requires.get(key, {}).items():
            if values.get(other) not in allowed:
                words = " or ".join(OFF_WORD if one is None else str(one) for one in allowed)
                reasons[key] = other, f"let {other} be {words}"
        for other, useless in part.ineffective_with.get(key, {}).items():
            if other in values and read_name(values[other]) in useless:
                reasons[key] = other, f"change {other}"
    return reasons


def read_name(value: Any) -> Any:
    """Return a spec without its options, and any other value as it is."""
    return value.partition(":")[0] if isinstance(value, str) else value


def list_registered_names(kind: str) -> dict[str, str]:
    """Return {name: import path} of the parts that installed packages register as entry points."""
    from importlib import metadata

    return {point.name: point.value for point in metadata.entry_points(group=ENTRY_POINT_GROUPS[kind])}


def describe_unknown_part(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence for a part that is neither built in nor registered nor an import path."""
    return describe_unknown(kind, name, [*known, *list_registered_names(kind)])
