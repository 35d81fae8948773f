"""The verb export: a trained run as a SavedModel, or its decoder in another format."""

from __future__ import annotations

import argparse

from tfvae.cli.run_loading import open_trusted_run
from tfvae.errors import UsageError
from tfvae.exporting import decoder_formats, savedmodel
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.progress_reporters import make_reporter


def export(args: argparse.Namespace) -> int:
    """Run ``tfvae export RUN DIR`` and return the exit code."""
    run = open_trusted_run(args.run, args.trust)
    if args.format != "savedmodel":
        if args.version:
            raise UsageError(f"Expected --version only for a SavedModel. Received: --format {args.format} too.")
        decoder_formats.check_decoder_format(args.format, args.directory)
    else:
        savedmodel.make_version_path(args.directory, args.version)
    import_tensorflow()
    from tfvae.exporting.decoder_writers import export_decoder
    from tfvae.exporting.exporter import export_run

    say = make_reporter().line
    if args.format == "savedmodel":
        print(export_run(run, args.directory, args.version, say))
        print(f"next:  tfvae sample {args.directory}  or  tfvae inspect {args.directory}")
    else:
        print(export_decoder(run, args.directory, args.format, say))
    return 0
