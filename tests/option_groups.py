"""Which options have an effect beside which others: tiny trainings with many options at once, each left out in turn.

An option that has an effect among all others of a group has one beside each of them, so a group of n options settles
n (n - 1) / 2 pairs by n + 1 trainings of a few steps. Where an option of a group has none, or a group is refused, the
pairs are tried one by one.
"""

from __future__ import annotations

import functools
import itertools
import re
from typing import Any, NamedTuple

import numpy as np
import small_parts
from option_choices import BASE, OPTIONS, SETTINGS

from tfvae import part_sources, specs
from tfvae.config import Config
from tfvae.errors import TfvaeError
from tfvae.runtime.progress_reporters import SilentReporter
from tfvae.training import trainer
from tfvae.training.engine import Engine, default_mode, epoch_order, place_images
from tfvae.training.preflight import check_part_names
from tfvae.training.setting_checks import check_trainable

STEPS = 3  # one more than the shortest warm-up of `option_choices`
SKIPPED_STEPS = 14  # at most, of float16: its first losses are scaled so far up that no gradient is finite
SMALL = {"objective": {}, "likelihood": small_parts.LIKELIHOODS, "arch": small_parts.ARCHITECTURES,
         "prior": small_parts.PRIORS}  # fmt: skip


class Choice(NamedTuple):
    """One option with one value; `part` is '' for a setting of the run."""

    axis: str
    part: str
    name: str
    value: Any

    @property
    def label(self) -> str:
        """Return the option by its part, without its value."""
        return f"{self.part}:{self.name}" if self.part else self.name


class Outcome(NamedTuple):
    """What a training came to: numbers that decide it, and what it said."""

    numbers: tuple[Any, ...]
    notes: tuple[str, ...]


class Lines(SilentReporter):
    """Keeps what a training says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        """Keep a line."""
        self.lines.append(text)


def make_settings(choices: frozenset[Choice], parts: dict[str, str]) -> dict[str, Any]:
    """Return the settings of a run of these parts, {axis: name}, with these options."""
    settings = dict(BASE)
    for axis, part in parts.items():
        base = specs.parse_spec(SMALL[axis].get(part, part))[1]
        own = {choice.name: choice.value for choice in choices if (choice.axis, choice.part) == (axis, part)}
        known = part_sources.read_parts(axis)[part].options if part != "auto" else {}
        settings[axis] = specs.format_spec(part, {name: v for name, v in (base | own).items() if name in known})
    return settings | {choice.name: choice.value for choice in choices if not choice.axis}


@functools.cache
def load_images(config: Config, split: str) -> Any:
    """Return what `trainer.load_split` does, once."""
    return trainer.load_split(config, split)


@functools.cache
def train_briefly(choices: frozenset[Choice], parts: tuple[tuple[str, str], ...], steps: int = STEPS) -> Outcome | str:
    """Return the outcome of a training of some steps, or the words by which it is refused.

    Args:
        choices: the options that are not at their default.
        parts: ((axis, name), ...) of the model's parts.
        steps: 0: build the model only.
    """
    said = Lines()
    try:
        config = Config(**make_settings(choices, dict(parts)))
        check_part_names(config)
        images, labels = load_images(config, "train")
        check_trainable(config, images, said)
        model = trainer.build_compiled_model(config, (images, labels), None)
    except TfvaeError as error:
        return str(error)
    total = config.epochs * (len(images) // config.batch_size)
    placed = place_images(images, config.feed)
    header = Engine(model, config.batch_size, default_mode(model, config.xla)).header(placed)
    notes = (*said.lines, *model.training_notes(total), header)
    if not steps:
        return Outcome((), notes)
    order = np.concatenate([epoch_order(config.seed, epoch, len(images), config.batch_size) for epoch in (1, 2)])
    columns, before = [], model.trainable_variables[0].numpy()
    for rows in itertools.islice(itertools.cycle(order), steps + SKIPPED_STEPS):
        columns += [model.optimize(images[rows], labels[rows])[0]]
        steps -= config.precision != "float16" or not np.array_equal(before, model.trainable_variables[0])
        if not steps:
            break
    held_out = load_images(config, "validation")[0] if config.validation else images[:0]
    numbers = (
        tuple(v.numpy().tobytes() for v in (*model.variables, *model.optimizer.variables)),
        tuple(np.asarray(value).tobytes() for logs in columns for value in logs.values()),
        (total, float(model.optimizer.learning_rate.numpy()), held_out.tobytes(), len(images)),
        (model.jit_compile, model.likelihood.kind, type(placed).__name__),
    )
    return Outcome(numbers, notes)


class Findings:
    """What was found of each pair of options.

    Attributes:
        effective: pairs of which each has an effect beside the other.
        refused: {pair: the words}.
        noted: pairs of which one has no effect and a note says so.
        lies: pairs of which one has no effect beside the other, and nothing says so.
    """

    def __init__(self) -> None:
        self.effective: set[frozenset[str]] = set()
        self.refused: dict[frozenset[Choice], str] = {}
        self.noted: set[frozenset[str]] = set()
        self.lies: set[str] = set()
        self.trainings = 0

    def __str__(self) -> str:
        """Return the figures: pairs by what was found of them, and how many trainings it took."""
        pairs = [pair for pair in self.refused if len(pair) == 2 and not any(map(self.is_refused_alone, pair))]
        refused = {frozenset(choice.label for choice in pair) for pair in pairs}
        counts = f"{len(self.effective)} effective, {len(refused)} refused, {len(self.noted)} noted"
        return f"{counts}, {len(self.lies)} lies; {self.trainings} trainings"

    def run(self, choices: frozenset[Choice], parts: dict[str, str], steps: int = STEPS) -> Outcome | str:
        """Train briefly, and count it."""
        self.trainings += 1
        return train_briefly(choices, tuple(sorted(parts.items())), steps)

    def choose_group(self, candidates: list[Choice], parts: dict[str, str]) -> frozenset[Choice]:
        """Return candidates that a training takes at once; those that are refused beside others are put down."""
        self.put_down_settings(candidates, parts)
        left_out: set[Choice] = set()
        while True:
            group: list[Choice] = []
            for choice in sorted(
                set(candidates) - left_out, key=lambda c: (self.is_refused_alone(c), candidates.index(c))
            ):
                group += [choice] * self.fits(choice, group)
            words = self.run(frozenset(group), parts, 0)
            if not isinstance(words, str):
                return frozenset(group)
            pair = frozenset(self.find_culprits(group, parts, words))
            alone = self.run(pair, parts, 0)
            if pair in self.refused or not isinstance(alone, str):  # it takes more than two to be refused
                left_out |= set(list(pair)[:1])
            else:
                self.refused[pair] = alone

    def is_refused_alone(self, choice: Choice) -> bool:
        """Return whether an option is refused where no other is given, as one that only acts on another."""
        return frozenset([choice]) in self.refused

    def fits(self, choice: Choice, group: list[Choice]) -> bool:
        """Return whether no option of the group is known to refuse a choice, and one takes it that is refused alone."""
        if self.is_refused_alone(choice):
            return any(frozenset([choice, other]) not in self.refused for other in group)
        others = [other for other in group if not self.is_refused_alone(other)]
        return not any(frozenset([choice, other]) in self.refused for other in others)

    def put_down_settings(self, candidates: list[Choice], parts: dict[str, str]) -> None:
        """Put down the pairs that `Config` refuses, which takes no model."""
        for pair in map(frozenset, [*itertools.combinations(candidates, 1), *itertools.combinations(candidates, 2)]):
            try:
                check_part_names(Config(**make_settings(pair, parts)))
            except TfvaeError as error:
                self.refused[pair] = str(error)

    def is_refused(self, group: list[Choice], parts: dict[str, str]) -> bool:
        """Return whether no model is built of these options."""
        return isinstance(self.run(frozenset(group), parts, 0), str)

    def find_culprits(self, group: list[Choice], parts: dict[str, str], words: str) -> tuple[Choice, ...]:
        """Return the one or two options of a group that are refused: those that the words name, or else by halving."""
        others = [choice for choice in group if not self.is_refused_alone(choice)]
        named = [choice for choice in others if re.search(rf"\b{choice.name}\b", words)]
        for pair in (*itertools.combinations(named, 1), *itertools.combinations(named, 2)):
            if self.is_refused(list(pair), parts):
                return pair
        last = self.find_last(group, parts)
        return last, self.find_last([last, *group[: group.index(last)]], parts)

    def find_last(self, group: list[Choice], parts: dict[str, str]) -> Choice:
        """Return the last option of the shortest beginning of a refused group that is refused, too."""
        low, high = 0, len(group)  # the first `low` are accepted, the first `high` refused
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.is_refused(group[:middle], parts) else (middle, high)
        return group[high - 1]

    def examine(self, group: frozenset[Choice], parts: dict[str, str]) -> None:
        """Leave each option of a group out in turn, and put down what that shows."""
        whole = self.run(group, parts)
        silent = {choice for choice in group if not self.has_effect(choice, group, whole, parts)}
        for one, two in itertools.combinations(sorted(group, key=str), 2):
            pair = frozenset((one.label, two.label))
            if not {one, two} & silent:
                self.effective.add(pair)
                continue
            for choice, other in ((one, two), (two, one)):
                if choice in silent and names_option(whole.notes, choice):
                    self.noted.add(pair)
                elif choice in silent:
                    self.examine_pair(choice, other, parts)

    def has_effect(self, choice: Choice, group: frozenset[Choice], whole: Any, parts: dict[str, str]) -> bool:
        """Return whether a group's training differs from that without one of its options."""
        without = self.run(group - {choice}, parts)
        return isinstance(without, str) or without.numbers != whole.numbers

    def examine_pair(self, choice: Choice, other: Choice, parts: dict[str, str]) -> None:
        """Put down whether an option has an effect beside one other, or a note says that it has none."""
        pair = frozenset([choice, other])
        whole = self.run(pair, parts)
        if isinstance(whole, str):
            self.refused[pair] = whole
        elif self.has_effect(choice, pair, whole, parts):
            self.effective.add(frozenset((choice.label, other.label)))
        elif names_option(whole.notes, choice):
            self.noted.add(frozenset((choice.label, other.label)))
        else:
            self.lies.add(f"{choice.label}={choice.value} beside {other.label}={other.value} with {parts}")


def names_option(notes: tuple[str, ...], choice: Choice) -> bool:
    """Return whether a note names an option; the engine's line names feeds by what they are."""
    return any(re.search(rf"\b({choice.name}|{choice.value})\b", note) for note in notes)


def list_choices(axis: str, part: str, generator: np.random.Generator) -> list[Choice]:
    """Return a choice for each option of a part, of its values one at random."""
    if part == "auto":
        return []
    options = part_sources.read_parts(axis)[part].options
    return [Choice(axis, part, name, pick(OPTIONS[name], generator)) for name in options]


def pick(values: tuple[Any, ...], generator: np.random.Generator) -> Any:
    """Return one of the values."""
    return values[generator.integers(len(values))]


def make_candidates(parts: dict[str, str], generator: np.random.Generator) -> list[Choice]:
    """Return a choice for each option of these parts and for each setting, in random order."""
    own = [choice for axis, part in parts.items() for choice in list_choices(axis, part, generator)]
    settings = [Choice("", "", name, pick(values, generator)) for name, values in SETTINGS.items()]
    candidates = own + settings
    return [candidates[i] for i in generator.permutation(len(candidates))]
