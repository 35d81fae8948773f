"""The verb zoo: list, info, verify, get, train, add. TensorFlow is imported by the last three alone."""

import fnmatch
import json
import os
import pathlib
import shutil

from tfvae.cli.training_verbs import begin, fit_second_stage
from tfvae.config import Config
from tfvae.errors import IntegrityError, UsageError
from tfvae.runtime import files
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.tables import format_cell, format_table
from tfvae.training.run_folder import open_run
from tfvae.zoo.index import COLUMNS, PREFIX, commands_of, folder, index, recipe, root, saved_model


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
    rows = [
        [format_cell(({"name": name} | entry).get(column)) for column in COLUMNS] for name, entry in entries.items()
    ]
    print(format_table([COLUMNS, *rows]))
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
    print(format_table(rows + [(name, format_cell(entry["value"])) for name, entry in metrics["numbers"].items()]))
    return 0


def get(args):
    """Copy the SavedModel of an entry to a folder that TensorFlow Serving can read."""
    source, target = saved_model(asked(args)), pathlib.Path(args.place or str(args.name).removeprefix(PREFIX))
    if target.exists():
        raise UsageError(f"Expected a new folder. Received: {target}, which exists. Choose another.")
    beside = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    with files.translate_os_errors(target):
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
    import_tensorflow()
    from tfvae.zoo.entries import compare

    return [
        f"{'ok' if fine else 'FAILED'}  {name}: {told:.6g}, now {now:.6g}" for name, told, now, fine in compare(found)
    ]


def train(args):
    """Train an entry anew, as its config says, into runs/."""
    found = folder(asked(args))
    config = Config.from_dict(files.read_json(found / "config.json"))
    first, prior = recipe(config, files.read_json(found / "metrics.json")["second_stage"])
    code = begin(first, new=True)
    return code if code or not prior else fit_second_stage("runs/latest", prior)


def add(args):
    """Make an entry of a finished run."""
    open_run(args.place)
    import_tensorflow()
    from tfvae.zoo.entries import add_entry

    print(add_entry(root(), asked(args), args.place))
    return 0


def asked(args):
    if not args.name:
        raise UsageError(f"Expected a name, as in  tfvae zoo {args.action} NAME. Received: none.")
    return args.name


ACTIONS = {"list": show_list, "info": info, "verify": verify, "get": get, "train": train, "add": add}
