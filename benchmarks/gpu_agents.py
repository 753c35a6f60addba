"""Where does a GPU pay for an agent?        python -m benchmarks.gpu_agents [--only residual] [--seconds 2]

Updates a second of off-policy agents: with their networks on the CPU, with all its threads; on the GPU; and, where PyTorch is
installed and sees the GPU, of the same update in PyTorch, eager, written as its users write it (peer_torch.py). An update takes a
batch of NumPy's arrays and returns NumPy's numbers, as in training; so moving the batch is in all times. The numbers are medians
of several series. Observations of 17 numbers and actions of 6, as HalfCheetah's; images are 4 x 84 x 84.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

import rl
from deepnp.backend import cuda_available, get_num_threads, one_blas_thread
from rl.experience.replay import Batch

SERIES = 5
VECTOR, IMAGE = spaces.Box(-np.inf, np.inf, (17,), np.float32), spaces.Box(0, 255, (4, 84, 84), np.uint8)
ACTIONS = spaces.Box(-1, 1, (6,), np.float32)


class Row(NamedTuple):
    """One line of the table."""

    name: str
    algorithm: str
    settings: dict[str, Any]
    observations: spaces.Box = VECTOR


def dense(algorithm: str, width: int, batch: int) -> Row:
    return Row(f"{algorithm} {width}-{width}, batch {batch}", algorithm, dict(hidden=(width, width), batch_size=batch))


def residual(blocks: int) -> Row:
    settings = dict(critic_blocks=(2048,) * blocks, block_width=1024, critic_normalization="layer", batch_size=256)
    return Row(f"TD3, residual critics, {blocks} x 2048", "TD3", settings)


ROWS = [
    *(dense(algorithm, 256, 256) for algorithm in ("DDPG", "TD3", "SAC")),
    *(dense("SAC", 256, batch) for batch in (1024, 4096)),
    *(dense("SAC", 1024, batch) for batch in (256, 1024, 4096)),
    *(residual(blocks) for blocks in (1, 2, 3, 4, 5)),
    *(Row(f"SAC, images, batch {batch}", "SAC", dict(batch_size=batch), IMAGE) for batch in (64, 256)),
]


def batch_for(agent: rl.Agent, rng: np.random.Generator) -> Batch:
    """Random transitions, laid out as the agent's memory gives them."""
    rows, layout = agent.config.batch_size, agent.space.observation

    def observations():
        tree = layout.empty(rows)
        if not isinstance(tree, tuple):
            return rng.standard_normal(tree.shape, np.float32)
        return tree[0], *(rng.integers(0, 256, image.shape, np.uint8) for image in tree[1:])

    actions, rewards = rng.uniform(-1, 1, (rows, 6)).astype(np.float32), rng.standard_normal(rows, np.float32)
    discounts, weights = np.full(rows, 0.99, np.float32), np.ones(rows, np.float32)
    return Batch(observations(), actions, rewards, observations(), discounts, weights, np.arange(rows))


def ours(row: Row, device: str) -> Callable[[], object]:
    """An update of our agent."""
    algorithm = getattr(rl, row.algorithm)
    agent = algorithm.of_spaces(row.observations, ACTIONS, algorithm.Config(**row.settings, device=device), seed=0)
    batch = batch_for(agent, np.random.default_rng(0))
    return lambda: agent.update(batch)


def rate(run: Callable[[], object], seconds: float) -> float:
    """Calls a second, the median of several series."""

    def series(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            run()
        return (time.perf_counter() - start) / calls

    series(2)  # compiles
    calls = max(1, round(seconds / SERIES / series(1)))
    return 1 / float(np.median([series(calls) for _ in range(SERIES)]))


def theirs(row: Row, seconds: float) -> str:
    """PyTorch's rate, as text; nothing where PyTorch is not."""
    try:
        import torch

        from benchmarks.peer_torch import update
    except ImportError:
        return ""
    if not torch.cuda.is_available():
        return ""
    algorithm = getattr(rl, row.algorithm)
    agent = algorithm.of_spaces(row.observations, ACTIONS, algorithm.Config(**row.settings), seed=0)
    batch = batch_for(agent, np.random.default_rng(0))
    return f"{rate(update(row.algorithm, row.settings, batch), seconds):12.0f}"


def measure(row: Row, seconds: float) -> str:
    with one_blas_thread():  # as `learn` does: the two threads are ours
        cpu = rate(ours(row, "cpu"), seconds)
    if not cuda_available():
        return f"{row.name:<34}{cpu:10.1f}"
    gpu = rate(ours(row, "cuda"), seconds)
    return f"{row.name:<34}{cpu:10.1f}{gpu:10.1f}{gpu / cpu:10.2f}{theirs(row, seconds)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each number")
    options = parser.parse_args()
    print(f"updates a second; CPU: {get_num_threads()} threads may be used, an update uses 2\n")
    print(f"{'':<34}{'CPU':>10}{'GPU':>10}{'GPU/CPU':>10}{'PyTorch, GPU':>14}")
    for row in ROWS:
        if options.only.lower() in row.name.lower():
            print(measure(row, options.seconds), flush=True)


if __name__ == "__main__":
    main()
