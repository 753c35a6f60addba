"""Learning experiments of two papers on value learning, in small: `python -m benchmarks.experiments --help`."""
