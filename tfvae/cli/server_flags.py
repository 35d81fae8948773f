"""Flags of the verbs that serve a model."""

from __future__ import annotations

import argparse

from tfvae.cli.flags import add_count, add_run
from tfvae.errors import UsageError
from tfvae.serving.host_guard import parse_name


def parse_host(text: str) -> str:
    """Return the name of a host."""
    try:
        return parse_name(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None


def add_server(parser: argparse.ArgumentParser, port: int, what: str) -> None:
    """Add what any server of one model needs to know.

    Args:
        port: the default port.
        what: what answers there, for the help.
    """
    add_run(parser)
    add_count(parser, "--port", port, f"port of {what}; 0: any free one", least=0)
    text = "address to listen on (default: 127.0.0.1, this machine alone)"
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help=text)
    text = "another name to answer to, such as that of a proxy before it; may be repeated"
    parser.add_argument("--allow-host", type=parse_host, action="append", default=[], metavar="NAME", help=text)
    text = "name of the model in URLs (default: that of its folder; serve calls a run model)"
    parser.add_argument("--name", default="", metavar="NAME", help=text)
