"""A peer's off-policy training, timed: run by benchmarks.offpolicy in an interpreter that has the peer.

    python peer_offpolicy.py LIBRARY ALGORITHM ENV THREADS        LIBRARY: sb3, sbx or rltools

256-256 networks, batches of 256, one update a step. Prints one JSON line: environment steps per second, the median of three
windows.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import gymnasium
from gymnasium.wrappers import RescaleAction

WARMUP, WINDOWS, STEPS = 500, 3, 600


def rate(run: Callable[[], object]) -> float:
    """Steps a second of `run`, which takes STEPS steps."""
    rates = []
    for _ in range(WINDOWS):
        start = time.perf_counter()
        run()
        rates.append(STEPS / (time.perf_counter() - start))
    return statistics.median(rates)


def stable_baselines(library: str, algorithm: str, env: str, threads: int) -> float:
    if library == "sb3":
        import stable_baselines3 as peer
        import torch

        torch.set_num_threads(threads)
        device = {"device": "cpu"}
    else:
        import sbx as peer

        device = {}
    settings = dict(learning_starts=100, batch_size=256, policy_kwargs=dict(net_arch=[256, 256]), seed=0, **device)
    agent = getattr(peer, algorithm)("MlpPolicy", gymnasium.make(env), **settings)
    agent.learn(WARMUP)
    return rate(lambda: agent.learn(STEPS, reset_num_timesteps=False))


def rltools(algorithm: str, env: str) -> float:
    import rltools as peer

    def make(**settings):
        made = RescaleAction(gymnasium.make(env, **settings), -1, 1)
        made.reset(seed=0)
        return made

    sizes = dict(ACTOR_BATCH_SIZE=256, CRITIC_BATCH_SIZE=256, ACTOR_HIDDEN_DIM=256, CRITIC_HIDDEN_DIM=256)
    settings = dict(interface_name=f"peer{algorithm}", STEP_LIMIT=20_000, enable_evaluation=False)
    state = getattr(peer, algorithm)(make, **sizes, **settings).State(0)
    for _ in range(WARMUP):
        state.step()
    return rate(lambda: [state.step() for _ in range(STEPS)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", choices=("sb3", "sbx", "rltools"))
    parser.add_argument("algorithm", help="SAC, TD3, DDPG")
    parser.add_argument("env", help="id of a Gymnasium environment")
    parser.add_argument("threads", type=int)
    given = parser.parse_args()
    if given.library == "rltools":
        speed = rltools(given.algorithm, given.env)
    else:
        speed = stable_baselines(given.library, given.algorithm, given.env, given.threads)
    print(json.dumps({"steps_per_second": speed}))


if __name__ == "__main__":
    main()
