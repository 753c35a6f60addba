"""How much do DQN and Double DQN overestimate?        python -m benchmarks.double_q

Both learn with the same seeds and settings, with and without `double`. Every tenth of the training the greedy policy plays ten
episodes, and the largest value of every state is compared with the discounted return that followed:

    bias = mean of max_a Q(s_t, a) - G_t            where an episode is truncated, max_a Q completes G

Van Hasselt, Guez & Silver 2016 (Figure 3) compare with the returns of the policy at the end of the training instead.

What is printed is the mean of a training's second half, after the values have come up from 0, and each measurement of it.
"""

import argparse

import numpy as np

import deepnp
import rl
from rl.training.value_check import values_and_returns

STEPS = {"CartPole-v1": 50_000, "LunarLander-v3": 100_000}
MEASUREMENTS, EPISODES, EVALUATION_SEED = 10, 10, 1


def train(env: str, double: bool, seed: int, steps: int) -> None:
    """Train, measure the bias every tenth of the training, and print it."""
    found: list[float] = []

    def measure(agent, metrics):
        if agent.steps >= (len(found) + 1) * steps // MEASUREMENTS:
            values, returns = values_and_returns(agent, env, EPISODES, EVALUATION_SEED)
            found.append(float(np.mean(values - returns)))

    with rl.DQN(env, rl.DQNConfig(double=double), seed=seed) as agent:
        agent.learn(steps, measure)
        score = rl.evaluate(agent, env, 20, seed=EVALUATION_SEED).mean()
    half = found[len(found) // 2 :]
    shown = ", ".join(f"{bias:.1f}" for bias in half)
    name = "double DQN" if double else "DQN"
    print(f"{env:15} {name:10} seed {seed}: bias {np.mean(half):6.1f} ({shown}), return {score:.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="instead of 50,000 and 100,000; ten times 1,000 or more")
    options = parser.parse_args()
    deepnp.set_num_threads(1)
    for env in options.envs:
        for seed in options.seeds:
            for double in (False, True):
                train(env, double, seed, options.steps or STEPS[env])


if __name__ == "__main__":
    main()
