"""Learning experiments of two papers on value learning, in small.

    python -m benchmarks.experiments                                  # all of them, seed after seed
    python -m benchmarks.experiments --only preqn --seeds 0 1         # one, and these seeds
    python -m benchmarks.experiments --only actors --steps 200000     # longer
    python -m benchmarks.experiments --table                          # tables and figures of what is finished; trains nothing

A finished training is a row of rows.csv in the folder of `--out`, and one that is there is not run again: the experiments go on
where they were interrupted. A score is the mean over 20 deterministic episodes of the final policy, with seeds 1 to 20. Each
training uses one thread. Figures are drawn into the folder of `--images`. docs/experiments.md says what is printed, and what
differs.
"""

import argparse
from pathlib import Path

import deepnp
import envs  # noqa: F401  (registers deepnp/...)
from benchmarks.experiments import actors, asymmetry, navigation, preconditioned
from benchmarks.experiments.experiment import Experiment
from benchmarks.experiments.records import Records
from benchmarks.experiments.training import train

EXPERIMENTS = {module.EXPERIMENT.name: module.EXPERIMENT for module in (asymmetry, preconditioned, navigation, actors)}


def run(experiments: list[Experiment], records: Records, steps: int | None, seeds: list[int] | None) -> None:
    """Train what is not in the records yet."""
    for experiment in experiments:
        for key in experiment.keys(steps, seeds):
            if key not in records.rows():
                figures, points = train(experiment, key)
                records.add(key, figures, points)
                print(*key, *(f"{name} {value:.5g}" for name, value in figures.items()), sep="  ", flush=True)


def main() -> None:
    """Run what is asked for, then show it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(EXPERIMENTS), default=list(EXPERIMENTS))
    parser.add_argument("--steps", type=int, help="of each training, instead of the experiment's own")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the experiment's own")
    parser.add_argument("--out", type=Path, default=Path("runs") / "experiments")
    options = parser.parse_args()
    deepnp.set_num_threads(1)
    run([EXPERIMENTS[name] for name in options.only], Records(options.out), options.steps, options.seeds)


if __name__ == "__main__":
    main()
