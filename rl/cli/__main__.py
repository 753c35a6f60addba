"""`python -m rl.cli`, where the console script `deepnp` is not on the path."""

import sys

from rl.cli import main

if __name__ == "__main__":
    sys.exit(main())
