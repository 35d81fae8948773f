"""The zoo: trained models by name, ``zoo:NAME`` wherever a model is asked for. Nothing here imports TensorFlow.

zoo/index.json                what ``tfvae zoo list`` shows
zoo/NAME/saved_model/1/       as ``tfvae export`` writes it
zoo/NAME/config.json          of the run; ``tfvae zoo train NAME`` repeats it
zoo/NAME/weights.npz          of the live model, see `tfvae.zoo.entries.live`
zoo/NAME/metrics.json         measured from the shipped files, with tolerances; card.md shows them
zoo/NAME/metrics.csv, *.png   how it was trained, what it draws
zoo/NAME/manifest.json        sizes and hashes of all these
"""

import dataclasses
import difflib
import fnmatch
import json
import os
import pathlib
import shutil

from tfvae import specs
from tfvae.runtime import files
from tfvae.config import Config, flags_of
from tfvae.errors import IntegrityError, UsageError
from tfvae.cli.inspection_verbs import aligned, text_of

PREFIX = "zoo:"
COLUMNS = ("name", "dataset", "objective", "arch", "elbo", "error", "MB")


def root():
    """The folder of the zoo: ``$TFVAE_ZOO``, ``./zoo``, or that beside the package.

    Raises:
        UsageError: none of them has an index.
    """
    places = [os.environ.get("TFVAE_ZOO"), "zoo", pathlib.Path(__file__).parents[2] / "zoo"]
    found = [pathlib.Path(place) for place in places if place and (pathlib.Path(place) / "index.json").is_file()]
    if not found:
        raise UsageError("Expected a zoo: ./zoo of a clone of tfvae, or a folder in TFVAE_ZOO. Received: none.")
    return found[0]


def index():
    """{name: {dataset, objective, arch, elbo, error, MB, ...}}."""
    return files.read_json(root() / "index.json")


def folder(name):
    """The folder of an entry, its files checked against their hashes.

    Raises:
        UsageError: no such entry. IntegrityError: a file is missing, more or other than the manifest says.
    """
    name = str(name).removeprefix(PREFIX)
    known = index()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "List them with  tfvae zoo list."
        raise UsageError(f"Expected the name of a model in the zoo. Received: {name!r}. {hint}")
    found = root() / name
    files.verify_folder(found)
    return found


def saved_model(name):
    """The SavedModel of an entry, see `folder`."""
    return folder(name) / "saved_model"


def recipe(config, second_stage=False):
    """The configs and the prior of the two stages: (config to train, prior to fit to its codes or None)."""
    return (dataclasses.replace(config, prior=Config.prior), config.prior) if second_stage else (config, None)


def commands_of(config, second_stage=False):
    """The command lines that make a run of this config."""
    first, prior = recipe(config, second_stage)
    return [command_of(first), *([f"tfvae second-stage runs/latest --prior {prior}"] if prior else [])]


def command_of(config):
    """The ``tfvae train`` that makes a run of this config."""
    name, options = specs.parse(config.objective)
    flags = [*flags_of(options), *config.flags()]
    flags += [] if dict(flags).get("--dataset") else [("--dataset", config.dataset)]
    return " ".join(["tfvae train", name, *(flag if value is None else f"{flag} {value}" for flag, value in flags)])


# --- the verb ----------------------------------------------------------------------------------------------------


def zoo(args):
    """``tfvae zoo list|info|verify|get|train|add``."""
    return ACTIONS[args.action](args)


def show_list(args):
    """All entries, or those whose name matches a pattern."""
    entries = {name: entry for name, entry in index().items() if fnmatch.fnmatch(name, args.name or "*")}
    if args.json:
        print(json.dumps(entries))
        return 0
    if not entries:
        raise UsageError(f"Expected a pattern that matches a name in the zoo. Received: {args.name!r}.")
    rows = [[text_of(({"name": name} | entry).get(column)) for column in COLUMNS] for name, entry in entries.items()]
    print(aligned([COLUMNS, *rows]))
    return 0


def info(args):
    """One entry: its numbers, its recipe, where it is."""
    found = folder(asked(args))
    metrics = files.read_json(found / "metrics.json")
    if args.json:
        print(json.dumps(metrics | {"config": files.read_json(found / "config.json"), "path": str(found)}))
        return 0
    config = Config.from_dict(files.read_json(found / "config.json"))
    rows = [("path", str(found)), *(("recipe", line) for line in commands_of(config, metrics["second_stage"]))]
    print(aligned(rows + [(name, text_of(entry["value"])) for name, entry in metrics["numbers"].items()]))
    return 0


def get(args):
    """Copy the SavedModel of an entry to a folder that TensorFlow Serving can read."""
    source, target = saved_model(asked(args)), pathlib.Path(args.place or str(args.name).removeprefix(PREFIX))
    if target.exists():
        raise UsageError(f"Expected a new folder. Received: {target}, which exists. Choose another.")
    beside = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    with files.explained(target):
        try:
            shutil.copytree(source, beside)
            beside.rename(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    print(target)
    return 0


def verify(args):
    """Hashes of all files, and every number of the card measured again from them (--quick: hashes only)."""
    names = [str(args.name).removeprefix(PREFIX)] if args.name else list(index())
    bad = []
    for name in names:
        try:
            found = folder(name)
            lines = [] if args.quick else measured_lines(found)
        except IntegrityError as error:
            lines, found = [f"FAILED  {error}"], None
        bad += [name for line in lines if line.startswith("FAILED")][:1]
        print(name, "intact" if found and not lines else "", sep="  ", flush=True)
        for line in lines:
            print(f"  {line}", flush=True)
    if bad:
        raise IntegrityError(f"Expected every entry as its card says. Received: {len(bad)} that are not: {bad[0]}.")
    return 0


def measured_lines(found):
    """A line for each number of a card: ok or FAILED, as shipped and as measured now."""
    from tfvae.runtime.environment import import_tensorflow

    import_tensorflow()
    from tfvae.zoo.entries import compare

    return [
        f"{'ok' if fine else 'FAILED'}  {name}: {told:.6g}, now {now:.6g}" for name, told, now, fine in compare(found)
    ]


def train(args):
    """Train an entry anew, as its config says, into runs/."""
    from tfvae.cli.training_verbs import begin, fit_second_stage

    found = folder(asked(args))
    config = Config.from_dict(files.read_json(found / "config.json"))
    first, prior = recipe(config, files.read_json(found / "metrics.json")["second_stage"])
    code = begin(first, new=True)
    return code if code or not prior else fit_second_stage("runs/latest", prior)


def add(args):
    """Make an entry of a finished run."""
    from tfvae.runtime.environment import import_tensorflow
    from tfvae.training.run_folder import find

    find(args.place)
    import_tensorflow()
    from tfvae.zoo.entries import add_entry

    print(add_entry(root(), asked(args), args.place))
    return 0


def asked(args):
    if not args.name:
        raise UsageError(f"Expected a name, as in  tfvae zoo {args.action} NAME. Received: none.")
    return args.name


ACTIONS = {"list": show_list, "info": info, "verify": verify, "get": get, "train": train, "add": add}
