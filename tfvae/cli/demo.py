"""``make demo``: real data, GECO, an evaluation and the pictures, in a few minutes on two cores."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from tfvae import datasets
from tfvae.cli import command_line
from tfvae.cli.inspection_verbs import is_on_disk
from tfvae.errors import TfvaeError

APT_SCRIPT = pathlib.Path(__file__).parents[2] / ".ci" / "apt"
ARCH = ("--arch", "mlp:widths=512-256,latent=32")
FASHION = ("--dataset", "fashion_mnist", "--kappa", "4", "--epochs", "12", *ARCH)
# kappa scales with the root of the number of pixels; 8x8 digits need more epochs of their 1,600 images.
DIGITS = ("--dataset", "digits", "--kappa", "1.8", "--epochs", "60", "--batch-size", "64", *ARCH)


def install_debian_package() -> bool:
    """Try to install Debian's Fashion-MNIST without a password, and return whether it is there."""
    return APT_SCRIPT.is_file() and subprocess.run([APT_SCRIPT, "dataset-fashion-mnist"], check=False).returncode == 0


def choose_dataset() -> tuple[tuple[str, ...], str]:
    """Return the flags for the data set that can be had here, and one line that says which and how."""
    if is_on_disk("fashion_mnist"):
        return FASHION, "Fashion-MNIST: found on this machine"
    try:
        folder = datasets.prepare("fashion_mnist")
        return FASHION, f"Fashion-MNIST: downloaded with TFDS, prepared in {folder}"
    except TfvaeError:
        if install_debian_package() and is_on_disk("fashion_mnist"):
            return FASHION, "Fashion-MNIST: TFDS cannot download here, so Debian's dataset-fashion-mnist was installed"
    return DIGITS, "Fashion-MNIST can neither be downloaded nor installed here: the demo takes the built-in 8x8 digits"


def run_command(*argv: str) -> None:
    """Print a command and run it; the demo ends with the first that fails."""
    print("\n$ tfvae", *argv, flush=True)
    code = command_line.main(argv)
    if code:
        sys.exit(code)


def main() -> None:
    """Run the demo."""
    flags, line = choose_dataset()
    print(line)
    run_command("train", "geco", *flags)
    run_command("evaluate", "runs/latest", "--samples", "100", "--limit", "1000")
    run = os.path.relpath(os.path.realpath("runs/latest"))
    print(f"\nopen {run}/report.html, or the pictures themselves:")
    for picture in sorted(pathlib.Path(run).glob("*/*.png")):
        print(f"  {picture}")


if __name__ == "__main__":
    main()
