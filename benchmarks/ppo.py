"""How fast is PPO?        python -m benchmarks.ppo [--peer /path/to/venv/bin/python]

Everything is measured in one run, because machines drift; only the ratios count.

1. The Walker with examples/train_walker.py's settings: the environment alone (the bare Batch loop), the learner alone
   (training less the time inside env.step, for the peer as well), and whole training; the update's share, and its time against
   its own matrix products alone.
2. With a Python that has Stable-Baselines3 (--peer, or this one): whole training on the Walker and the learner's own time
   per step, with the same network, epochs, batch, rollout and copies. Theirs gets the same native batch of walkers, and
   (their usual way) a DummyVecEnv of single ones.
3. An update on 2,048 steps of HalfCheetah, its epochs in one call each, and by the plain steps; 64-64 networks, one thread and
   all.
4. Whole training on HalfCheetah at their default settings: ours on deepnp/HalfCheetah-v5 in native batches, theirs on Gymnasium's
   HalfCheetah-v5 in one copy (their default) and in a DummyVecEnv of as many as ours.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np

import deepnp
import envs  # noqa: F401  (registers deepnp/…)
from deepnp.backend import one_blas_thread
from deepnp.threads import side_by_side
from examples.train_walker import ENV, WALKER
from rl import PPO, PPOConfig
from rl.algorithms.policy_gradient import ppo

ROOT = Path(__file__).resolve().parents[1]
CHEETAH = "HalfCheetah-v5"
SB3_DEFAULTS = dict(num_envs=8, steps=256, batch_size=64, epochs=10, hidden=(64, 64))


def seconds(function, repeats: int) -> float:
    """Median time of one call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def environment_alone(agent: PPO, decisions: int) -> float:
    """Seconds a decision of one walker, in the bare loop over mujoco.batch with fresh random controls."""
    body, drive = agent.env.core.body, agent.env.core.drive
    rng = np.random.default_rng(0)
    targets = rng.uniform(-1, 1, (decisions, *drive.targets.shape))
    agent.env.reset(seed=0)
    start = time.perf_counter()
    for t in range(decisions):
        body.ctrl[:] = drive.angles(targets[t])
        body.batch.step(nstep=body.frame_skip)
        if t % 25 == 24:  # walkers that lie on the floor have more contacts, and would be slower than those that walk
            agent.env.reset()
    return (time.perf_counter() - start) / decisions / agent.env.num_envs


def gemms_alone(agent: PPO) -> float:
    """Seconds of the matrix products of one iteration's updates, with their real shapes and orientations, and nothing else."""
    c = agent.config
    rows = c.batch_size
    sizes = [agent.space.observations, *c.hidden]
    rng = np.random.default_rng(0)

    def network(outputs):
        widths = [*sizes, outputs]
        x = [rng.normal(size=(rows, w)).astype(np.float32) for w in widths]
        weights = [rng.normal(size=(o, i)).astype(np.float32) for i, o in pairwise(widths)]

        def chain():
            for _ in range(c.epochs * round((1 + c.mirror) * c.num_envs * c.steps / rows)):
                for i, w in enumerate(weights):
                    np.matmul(x[i], w.T)
                for i, w in reversed(list(enumerate(weights))):
                    np.matmul(x[i + 1].T, x[i])
                    if i:
                        np.matmul(x[i + 1], w)

        return chain

    policy, value = network(agent.space.actions), network(1)
    return seconds(lambda: side_by_side(policy, value), 5)


def ours(config: PPOConfig, iterations: int) -> dict[str, float]:
    """Seconds per environment step: whole training, its update, the learner (all but env.step), the environment's bare loop."""
    agent = PPO(ENV, config, seed=0)
    agent.learn(2 * config.num_envs * config.steps)  # compiles, fills caches
    updates = stepping = 0.0
    plain_update, plain_step = agent.update, agent.env.step

    def timed_update(rollout, progress):
        nonlocal updates
        start = time.perf_counter()
        result = plain_update(rollout, progress)
        updates += time.perf_counter() - start
        return result

    def timed_step(actions):
        nonlocal stepping
        start = time.perf_counter()
        result = plain_step(actions)
        stepping += time.perf_counter() - start
        return result

    agent.update, agent.env.step = timed_update, timed_step
    steps, start = agent.steps, time.perf_counter()
    agent.learn(steps + iterations * config.num_envs * config.steps)
    whole = time.perf_counter() - start
    count = agent.steps - steps
    del agent.env.step
    with one_blas_thread():
        alone = environment_alone(agent, 100)
        gemms = gemms_alone(agent) / (config.num_envs * config.steps)
    timings = {"whole": whole, "update": updates, "learner": whole - stepping}
    return {**{name: value / count for name, value in timings.items()}, "environment": alone, "gemms": gemms}


def theirs(python: str, config: PPOConfig, native: bool, iterations: int, env: str = ENV) -> dict[str, float] | None:
    """The same numbers of Stable-Baselines3 in another interpreter; None where it is not installed."""
    settings = dict(env=env, num_envs=config.num_envs, steps=config.steps, batch_size=config.batch_size, epochs=config.epochs)
    settings |= dict(hidden=list(config.hidden), native=native, iterations=iterations, threads=deepnp.get_num_threads())
    command = [python, str(ROOT / "benchmarks" / "peer_sb3.py"), json.dumps(settings)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        print(f"   (no Stable-Baselines3 in {python}: {result.stderr.strip().splitlines()[-1]})")
        return None
    return json.loads(result.stdout.splitlines()[-1])


def compare(title: str, config: PPOConfig, python: str | None, iterations: int) -> None:
    own = ours(config, iterations)
    learner = own["learner"]
    rate = {name: f"{1 / value:9,.0f} steps/s" for name, value in own.items()}
    print(f"\n{title}")
    print(f"   N={config.num_envs} T={config.steps} batch={config.batch_size} epochs={config.epochs} hidden={config.hidden}")
    print(f"   environment alone  {rate['environment']}")
    print(f"   learner alone      {rate['learner']}   ({1e6 * learner:.0f} µs a step)")
    print(f"   whole training     {rate['whole']}   {own['environment'] / own['whole']:.0%} of the environment alone")
    print(
        f"   update             {own['update'] / own['whole']:.0%} of training, {own['update'] / own['gemms']:.2f} × its own GEMMs"
    )
    for native, name in ((True, "native batch"), (False, "DummyVecEnv")) if python else ():
        peer = theirs(python, config, native, max(1, iterations // 10))
        if peer is None:
            return
        whole, alone = peer["whole"] / own["whole"], peer["learner"] / learner
        print(f"   Stable-Baselines3, {name}: {1 / peer['whole']:,.0f} steps/s, learner {1e6 * peer['learner']:.0f} µs a step")
        print(f"      our whole training is {whole:.1f} × as fast, our learner {alone:.1f} ×")


def update_forms(repeats: int) -> None:
    """One update, with each epoch in one call, and by the plain steps."""
    rollouts, agent = [], PPO(f"deepnp/{CHEETAH}", PPOConfig(**SB3_DEFAULTS), seed=0)
    update = agent.update
    agent.update = lambda rollout, progress: (rollouts.append(rollout), update(rollout, progress))[1]
    agent.learn(2048)
    all_threads = deepnp.get_num_threads()
    print(f"\n{CHEETAH}, one update on 2,048 steps, batch=64 epochs=10 hidden=(64, 64)")
    for threads in sorted({1, all_threads}):
        deepnp.set_num_threads(threads)
        with one_blas_thread():
            fused = seconds(lambda: update(rollouts[0], 0.0), repeats)
            with mock.patch.multiple(ppo, policy_epoch=declined, value_epoch=declined):
                plain = seconds(lambda: update(rollouts[0], 0.0), repeats)
        print(f"   {threads} thread{'s' * (threads > 1)}: {1e3 * fused:.1f} ms; by plain steps {1e3 * plain:.1f} ms", end="")
        print(f", {plain / fused:.1f} × as long")
    deepnp.set_num_threads(all_threads)


def declined(*_) -> None:
    """An epoch in one call that knows no case."""


def cheetah(python: str, iterations: int) -> None:
    """Whole training on HalfCheetah, each side with the batches that it has."""
    config = PPOConfig(**SB3_DEFAULTS)
    agent = PPO(f"deepnp/{CHEETAH}", config, seed=0)
    size = config.num_envs * config.steps
    agent.learn(2 * size)
    start = time.perf_counter()
    agent.learn((2 + iterations) * size)
    own = (time.perf_counter() - start) / (iterations * size)
    print(f"\n{CHEETAH}, rollouts of {size} steps, batch={config.batch_size} epochs={config.epochs} hidden={config.hidden}")
    print(f"   ours, {config.num_envs} native copies   {1 / own:9,.0f} steps/s")
    for copies in (1, config.num_envs):
        alike = replace(config, num_envs=copies, steps=size // copies)
        peer = theirs(python, alike, False, max(1, iterations // 10), CHEETAH)
        if peer is None:
            return
        print(f"   Stable-Baselines3, {copies} cop{'ies' if copies > 1 else 'y'} {1 / peer['whole']:9,.0f} steps/s", end="")
        print(f"   ours is {peer['whole'] / own:.1f} × as fast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default=sys.executable, help="a Python with stable-baselines3, gymnasium, mujoco, numba")
    parser.add_argument("--iterations", type=int, default=40)
    options = parser.parse_args()
    print(f"{deepnp.get_num_threads()} threads, {ENV}")
    compare("The example's settings", PPOConfig(num_envs=64, **WALKER), None, options.iterations)
    alike = PPOConfig(num_envs=64, **{**WALKER, "mirror": False})
    compare("The same without mirror images, which the peer cannot learn from", alike, options.peer, options.iterations)
    compare("Stable-Baselines3's default settings", PPOConfig(**SB3_DEFAULTS), options.peer, options.iterations)
    update_forms(max(3, options.iterations // 2))
    cheetah(options.peer, options.iterations)


if __name__ == "__main__":
    main()
