"""How long PETS holds InvertedPendulum-v5 up, and what limits it.        python -m benchmarks.planner [--rule] [--true]

The reward is 1 until the pole falls, so no plan is better than another as long as both hold it up. A plan of 15 steps sees
the end of the rail too late, and what happens there is hard to learn. `--rule` gives the model the rewards, as in the paper,
and says that an episode ends at the end of the rail, too, which the environment does not say:

    |angle| > 0.2, as the environment has it, or |position| > 0.97

`--true` asks MuJoCo in the place of the model: what is left is the planner's own error. Episode lengths are printed, and
after a training the returns of deterministic episodes, each of which takes a minute.
"""

import argparse
from typing import Any

import gymnasium
import mujoco
import numpy as np
from mujoco import rollout

import rl
from deepnp.threads import one_blas_thread
from rl.networks.learned_model import Rule

ENV = "InvertedPendulum-v5"
SETTINGS: dict[str, Any] = dict(candidates=100, plan_elites=10, rounds=4, model_hidden=(64, 64, 64), model_batch_size=64)
LARGEST = 3.0  # of an action


def falls(s: np.ndarray, a: np.ndarray, s_next: np.ndarray) -> np.ndarray:
    """The environment's rule, of rows."""
    return np.abs(s_next[:, 1]) > 0.2


def falls_or_leaves(s: np.ndarray, a: np.ndarray, s_next: np.ndarray) -> np.ndarray:
    """That, or the end of the rail."""
    return falls(s, a, s_next) | (np.abs(s_next[:, 0]) > 0.97)


def stands(s: np.ndarray, a: np.ndarray, s_next: np.ndarray) -> np.ndarray:
    """The environment's rewards, of rows."""
    return ~falls(s, a, s_next)


def lengths(agent: rl.PETS) -> list[int]:
    """Of the episodes in the agent's memory, in their order."""
    ends = np.flatnonzero(agent.memory.terminated | agent.memory.truncated)
    return np.diff(ends, prepend=-1).tolist()


def train(horizon: int, steps: int, rule: bool, seed: int, episodes: int) -> None:
    """Train, and print the lengths of episodes after each 1,000 steps, and what it is worth in the end."""
    agent = rl.PETS(ENV, rl.PETSConfig(horizon=horizon, memory=steps, **SETTINGS), seed=seed)
    if rule:
        agent.model.rewards, agent.model.ends = stands, falls_or_leaves
    agent.learn(steps, lambda agent, metrics: print(int(metrics["steps"]), lengths(agent)[-10:], flush=True))
    returns = [float(rl.evaluate(agent, ENV, 1, seed=100 + i).item()) for i in range(episodes)]
    print(f"seed {seed}: {np.mean(returns):.1f}, {returns}", flush=True)


class Physics(rl.PETS):
    """PETS whose plans MuJoCo plays, and not a model of it."""

    real: Any  # an environment, apart from the one that is played
    data: mujoco.MjData
    ends: Rule

    def worth(self, observation: np.ndarray, plans: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        actions = LARGEST * plans.reshape(len(plans), self.config.horizon, 1).astype(float)
        start = np.insert(np.repeat(observation[None].astype(float), len(plans), axis=0), 0, 0, axis=1)  # time and state
        states, _ = rollout.rollout(self.real.model, self.data, start, np.repeat(actions, self.real.frame_skip, axis=1))
        rows = states[:, self.real.frame_skip - 1 :: self.real.frame_skip, 1:]  # (P, H, O)
        ended = self.ends(rows, actions, rows.reshape(-1, rows.shape[-1])).reshape(rows.shape[:2])
        return np.cumprod(~ended, axis=1) @ self.config.gamma ** np.arange(self.config.horizon)


def play(horizon: int, steps: int, rule: bool, seed: int) -> None:
    """One episode of at most so many steps, planned with the true dynamics."""
    agent, env = Physics(ENV, rl.PETSConfig(horizon=horizon, **SETTINGS), seed=seed), gymnasium.make(ENV)
    agent.real, agent.ends = gymnasium.make(ENV).unwrapped, falls_or_leaves if rule else falls
    agent.data, rng = mujoco.MjData(agent.real.model), np.random.default_rng(seed)
    s, mean, count, over = env.reset(seed=seed)[0], np.zeros((horizon, 1), np.float32), 0, False
    while count < steps and not over:
        plan = agent.plan(s, mean, rng)
        s, _, ended, cut, _ = env.step(LARGEST * plan[0])
        mean, count, over = np.append(plan[1:], np.zeros((1, 1), np.float32), axis=0), count + 1, ended or cut
    print(f"true dynamics, seed {seed}: {count} steps", flush=True)


def main() -> None:
    """Read the options, and train or play."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rule", action="store_true", help="imagined episodes end at the end of the rail, too")
    parser.add_argument("--true", action="store_true", help="plan with the true dynamics")
    parser.add_argument("--horizon", type=int, default=25, help="steps of a plan")
    parser.add_argument("--steps", type=int, default=5000, help="steps of the training, or of an episode at most")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--episodes", type=int, default=20, help="of the evaluation after a training")
    options = parser.parse_args()
    with one_blas_thread():
        for seed in options.seeds:
            if options.true:
                play(options.horizon, options.steps, options.rule, seed)
            else:
                train(options.horizon, options.steps, options.rule, seed, options.episodes)


if __name__ == "__main__":
    main()
