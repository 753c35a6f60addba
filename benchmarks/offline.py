"""Offline methods on data sets of one's own: how good they are beside the policy that gathered the data.

    python -m benchmarks.offline Pendulum-v1 --steps 8000 --updates 5000 --lr 1e-3 --tau 0.01
    python -m benchmarks.offline CartPole-v1 --steps 50000 --updates 4000 --lr 1e-3 --tau 0.01

1. SAC, or double DQN where actions are choices, is trained in the environment. The first of its evaluations
   beyond a third of the way from random actions to its last one is "medium"; its memory until then is
   "medium-replay".
2. Data sets random, medium, medium-replay and expert are gathered and written to --out.
3. Each method learns from each data set, with each seed; no step is taken in the environment.
4. "SAC" is CQL without its penalty, "DQN" is DDQNBC without its own: what bootstrapping from actions that
   are not in the data does. "OneStep" is IQL with the mean of the data's values, "TDLambda" AWR with
   lambda 0.95, "TD3BC-2.5" TD3BC at its default, "CQL-0.2", "CQL-1" and "CQL-10" CQL with other weights of its
   penalty.

A score is 0 for random actions and 100 for the expert (Fu et al. 2020).
"""

import argparse
import copy
import csv
import time
from dataclasses import fields
from pathlib import Path

import numpy as np

import envs  # noqa: F401  (registers deepnp/…)
import rl
from rl.experience.data_files import load_data, save_data
from rl.experience.datasets import DataSet, score
from rl.networks.q_networks import QNetwork
from rl.training.collect import collect

KINDS = "random", "medium", "medium-replay", "expert"
VARIANTS = {
    "SAC": ("CQL", dict(conservatism=0.0, draws=1)),
    "DQN": ("DDQNBC", dict(imitation=0.0)),
    "TD3BC-2.5": ("TD3BC", dict(value_weight=2.5)),
    "CQL-0.2": ("CQL", dict(conservatism=0.2, draws=4)),
    "CQL-1": ("CQL", dict(conservatism=1.0, draws=4)),
    "CQL-10": ("CQL", dict(conservatism=10.0, draws=4)),
    "OneStep": ("IQL", dict(expectile=0.5)),
    "TDLambda": ("AWR", dict(lam=0.95)),
}
METHODS = (*(name for name, algorithm in rl.ALGORITHMS.items() if algorithm.family == "offline"), *VARIANTS)
FIELDS = "env", "data", "method", "seed", "updates", "score", "behaviour", "return", "q", "largest_return", "minutes"
THIRD = 1 / 3
OWN = {
    "CQL": dict(draws=4),  # 10 take twice as long
    "TD3BC": dict(value_weight=10.0),  # at 2.5 it stays with the data of medium-replay, most of which are bad
    "SACBC": dict(value_weight=10.0),
    "ReverseKL": dict(beta=1.0),
}


def gather(env: str, folder: Path, steps: int, rows: int, hidden: tuple[int, ...], seed: int) -> dict[str, float]:
    """Train an expert, write the data sets, and return the mean return of random actions and of the expert."""
    random = collect("random", env, rows, seed)
    low, kept = float(random.returns().mean()), []

    def keep(agent, metrics):
        if agent.steps > agent.config.warmup:  # before, what balances the pole does so by chance
            kept.append((float(rl.evaluate(agent, env, 20).mean()), copy.deepcopy(agent)))

    shared = dict(hidden=hidden, warmup=1000, memory=max(steps, 1000))
    choices = random.space.action.kind == "Discrete"
    far = dict(double=True, n_step=3, boltzmann=10.0, lr=rl.schedules.Linear(1e-3, 0.0))  # draws, so that the data vary
    config = rl.DQNConfig(**shared, **far) if choices else rl.SACConfig(**shared)
    with rl.ALGORITHMS[config.algorithm].cls(env, config, seed=seed) as expert:
        expert.learn(steps, keep)
        high = kept[-1][0]
        medium = next(agent for mean, agent in kept if mean >= low + THIRD * (high - low))
        sets = {"random": random, "medium": collect(medium, env, rows, seed + 1), "expert": collect(expert, env, rows, seed + 2)}
        sets["medium-replay"] = DataSet.of_memory(medium.memory, env, {"agent": config.algorithm, "agent_steps": medium.steps})
    for kind, data in sets.items():
        save_data(data, folder / f"{kind}.safetensors")
    return {"random": low, "expert": high}


def learned(method: str, data: DataSet, updates: int, settings: dict, seed: int) -> rl.Agent:
    """An agent that learned from a data set, with those of the settings that it has."""
    name, own = VARIANTS.get(method, (method, OWN.get(method, {})))
    cls = getattr(rl, name)
    known = {f.name for f in fields(cls.Config)}
    config = cls.Config(**{name: value for name, value in {**settings, **own}.items() if name in known})
    return cls.of_data(data, config, seed=seed).learn(updates)


def mean_value(agent: rl.Agent, data: DataSet) -> float:
    """The mean of min_i Q_i(s, π(s)) over a thousand states; NaN where there are no values of actions."""
    s = agent.observe(data.observations[:: max(1, len(data) // 1000)])
    if isinstance(agent.policy, QNetwork):
        return float(agent.policy.predict(s).max(axis=1).mean())
    if not hasattr(agent, "critics"):
        return np.nan
    return float(agent.critics.action_gradient(s, agent.act(s, None))[0].mean())


def largest_return(data: DataSet, gamma: float) -> float:
    """The largest discounted return to the end of an episode that the data hold, by its size."""
    returns, following = np.zeros(len(data)), 0.0
    for t in range(len(data) - 1, -1, -1):
        following = returns[t] = data.rewards[t] + gamma * following * (not data.ended[t])
    return float(np.abs(returns).max())


def suited(data: DataSet) -> list[str]:
    """The methods that learn from a data set of such actions."""
    return [name for name in METHODS if data.space.action.kind in rl.ALGORITHMS[VARIANTS.get(name, (name,))[0]].takes.actions]


def rows_of(arguments: argparse.Namespace) -> list[dict]:
    """One row for each method, data set and seed."""
    folder, settings = arguments.out, dict(hidden=tuple(arguments.hidden), lr=arguments.lr, tau=arguments.tau)
    ends = gather(arguments.env, folder, arguments.steps, arguments.rows, settings["hidden"], seed=0)
    print(f"random {ends['random']:,.1f}, expert {ends['expert']:,.1f}", flush=True)
    rows = []
    for kind in arguments.data:
        data = load_data(folder / f"{kind}.safetensors")
        behaviour = float(score(data.returns().mean(), **ends))
        print(f"{kind}: {len(data):,} rows, behaviour's score {behaviour:.1f}", flush=True)
        for method in arguments.methods or suited(data):
            for seed in range(arguments.seeds):
                start = time.monotonic()
                agent = learned(method, data, arguments.updates, settings, seed)
                mean = float(rl.evaluate(agent, arguments.env, 20, seed=100).mean())
                own = float(score(mean, **ends))
                values = mean_value(agent, data), largest_return(data, 0.99), (time.monotonic() - start) / 60
                figures = arguments.env, kind, method, seed, arguments.updates, own, behaviour, mean, *values
                rows.append(dict(zip(FIELDS, figures, strict=True)))
                print("  ".join(f"{x:.2f}" if isinstance(x, float) else str(x) for x in figures), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("env")
    parser.add_argument("--steps", type=int, default=10_000, help="of the expert's training")
    parser.add_argument("--rows", type=int, default=10_000, help="of a data set")
    parser.add_argument("--updates", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 64])
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--tau", type=float, default=0.005)
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="default: those that take the actions")
    parser.add_argument("--data", nargs="+", default=["medium", "medium-replay"], choices=KINDS)
    parser.add_argument("--out", type=Path, default=Path("runs") / "offline")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = rows_of(arguments)
    with (arguments.out / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
