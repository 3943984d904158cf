"""python -m fer_models COMMAND: see `fer_models.cli.main`."""

import sys

from fer_models.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
