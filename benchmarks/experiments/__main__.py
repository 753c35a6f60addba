"""Learning experiments of papers on value learning, in small.

    python -m benchmarks.experiments                                  # all of them, seed after seed
    python -m benchmarks.experiments --only preqn --seeds 0 1         # one, and these seeds
    python -m benchmarks.experiments --only actors --steps 200000     # longer
    python -m benchmarks.experiments --table                          # what is finished; trains nothing
    python -m benchmarks.experiments --table --images docs/images     # and its figures

A finished training is a row of rows.csv in the folder of `--out`, and one that is there is not run again: the experiments go on
where they were interrupted. A score is the mean over 20 deterministic episodes of the final policy, with seeds 1 to 20. Each
training uses one thread. docs/experiments.md says what is printed in the papers, and what differs.
"""

import argparse
from pathlib import Path

import deepnp
import envs  # noqa: F401  (registers deepnp/...)
from benchmarks.experiments import actors, asymmetry, entropy, expansion, navigation, preconditioned
from benchmarks.experiments.experiment import Experiment
from benchmarks.experiments.records import Records, of_experiment
from benchmarks.experiments.tables import table
from benchmarks.experiments.training import train
from rl.training.curves import save_figure

MODULES = {module.EXPERIMENT.name: module for module in (asymmetry, preconditioned, navigation, actors, entropy, expansion)}
EXPERIMENTS = {name: module.EXPERIMENT for name, module in MODULES.items()}


def run(
    experiments: list[Experiment],
    records: Records,
    steps: int | None,
    seeds: list[int] | None,
    variants: list[str] | None = None,
) -> None:
    """Train what is not in the records yet."""
    for experiment in experiments:
        for key in experiment.keys(steps, seeds, variants):
            if key not in records.rows():
                figures, points = train(experiment, key)
                records.add(key, figures, points)
                print(*key, *(f"{name} {value:.5g}" for name, value in figures.items()), sep="  ", flush=True)


def show(name: str, records: Records, steps: int | None, images: Path | None) -> None:
    """Print the table of what is finished of one experiment, and draw its figure."""
    experiment = EXPERIMENTS[name]
    rows, curves = (of_experiment(x, name, steps or experiment.steps) for x in (records.rows(), records.curves()))
    if not rows:
        return
    print(f"\n{experiment.title}, {steps or experiment.steps:,} steps\n\n{table(experiment, rows)}")
    if images:
        save_figure(MODULES[name].draw(rows, curves), images / f"experiment_{name}", ("svg", "png"))


def main() -> None:
    """Run what is asked for, then show it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(EXPERIMENTS), default=list(EXPERIMENTS))
    parser.add_argument("--steps", type=int, help="of each training, instead of the experiment's own")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of the experiment's own")
    parser.add_argument("--variants", nargs="+", metavar="NAME", help="some columns of the table only, as the table calls them")
    parser.add_argument("--out", type=Path, default=Path("runs") / "experiments")
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="draw the figures there")
    options = parser.parse_args()
    for name in options.variants or ():
        known = [variant for only in options.only for variant in EXPERIMENTS[only].variants]
        if name not in known:
            parser.error(f"expected --variants among {known}, given {name!r}")
    deepnp.set_num_threads(1)
    records = Records(options.out)
    if not options.table:
        run([EXPERIMENTS[name] for name in options.only], records, options.steps, options.seeds, options.variants)
    for name in options.only:
        show(name, records, options.steps, options.images)


if __name__ == "__main__":
    main()
