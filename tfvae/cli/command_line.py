"""The command line ``tfvae``: it runs a verb, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from tfvae.cli.arguments import build_parser, parse_arguments
from tfvae.errors import TfvaeError, make_printable


def run_verb(argv: Sequence[str]) -> int:
    """Run the verb of a command line and return its exit code."""
    args = parse_arguments(argv)
    if args.verb is None:
        build_parser().print_help()
        return 0
    module, _, name = args.home.partition(":")
    return getattr(importlib.import_module(module), name)(args)


def describe_error(error: BaseException) -> tuple[int, str] | None:
    """Return (exit code, sentence) of an error that is not a bug; otherwise None."""
    tf_errors = getattr(sys.modules.get("tensorflow"), "errors", None)
    first = (str(error).splitlines() or [""])[0]
    if isinstance(error, TfvaeError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted."
    if isinstance(error, MemoryError):
        return 7, "Out of memory. Use a smaller --batch-size, fewer images (--limit), or a smaller model."
    if isinstance(error, OSError):
        what, why = error.filename or "a file", error.strerror or first
        return 7, f"Could not use {what}: {why}. Free or choose another place."
    if tf_errors and isinstance(error, tf_errors.ResourceExhaustedError):
        return 8, f"The device is out of memory ({first}). Use a smaller --batch-size or model."
    if tf_errors and isinstance(error, tf_errors.UnavailableError | tf_errors.AbortedError):
        return 9, f"Another worker is gone ({first[:120]}). Start all again: they continue from the last checkpoint."
    if tf_errors and isinstance(error, tf_errors.OpError):
        return 1, f"TensorFlow: {error.message.splitlines()[0] if error.message else first}"
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``tfvae ARGV`` and return the exit code.

    0 done, 1 a bug, 2 wrong usage, 3 data, 4 a damaged file, 5 an untrusted one, 6 diverged, 7 disk or memory,
    8 device memory, 9 a worker is gone, 130 and 143 stopped by Ctrl-C and SIGTERM, 141 a closed pipe.

    Args:
        argv: the words after ``tfvae``; None: the process's arguments.

    Example:
        >>> main(["--version"])
        0
    """
    try:
        try:
            code = run_verb(sys.argv[1:] if argv is None else argv)
        except SystemExit as leave:  # --help and --version
            code = leave.code if isinstance(leave.code, int) else 0
        sys.stdout.flush()  # here, so that a closed pipe is noticed below
        return code
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except BaseException as error:
        described = describe_error(error)
        if described is None:
            traceback.print_exc()
            described = 1, "this is a bug. Please report the lines above with the output of  tfvae doctor"
        code, sentence = described
        print("tfvae:", make_printable(sentence), file=sys.stderr)
        return code
