"""``python -m tfvae`` is ``tfvae``."""

import sys

from tfvae.cli.command_line import main

if __name__ == "__main__":
    sys.exit(main())
