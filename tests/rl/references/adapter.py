"""The learners of `rl` as the references see them: named float64 arrays, given noise, one update. All that knows rl's interface."""

from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import numpy as np

import rl
from deepnp import Module, Parameter, ParameterVector
from deepnp.backend import array_module, to_device
from deepnp.optim import Adam
from rl.experience.replay import Batch
from rl.experience.rollout import Rollout
from rl.networks import encoders
from tests.rl.references import dpg, off_policy, on_policy_sac, policy_gradient, ppo, trpo
from tests.rl.references.networks import split


class Recorder:
    """A random generator that remembers what it drew, and gives it out in float64."""

    def __init__(self, generator: np.random.Generator):
        self.generator, self.drawn = generator, []

    def __getattr__(self, name):
        method = getattr(self.generator, name)

        def draw(*arguments, **settings):
            drawn = np.asarray(method(*arguments, **settings))
            self.drawn.append(drawn.astype(np.float64) if drawn.dtype == np.float32 else drawn)
            return self.drawn[-1]

        return draw


@contextmanager
def double_precision():
    """Networks that are made here are float64."""

    def make(*arguments, mlp=encoders.mlp, **settings):
        return mlp(*arguments, **settings, dtype=np.float64).to(np.float64)

    with mock.patch.object(encoders, "mlp", make):
        yield


def learner(name: str, env, **settings):
    """An untrained float64 agent, with weights far from where they start, and with recorders for random generators."""
    algorithm = getattr(rl, name)
    with double_precision():
        agent = algorithm(env, algorithm.Config(**settings), seed=3)
    rng = np.random.default_rng(4)
    for module in modules(agent):
        theta = module.flat.data
        theta += array_module(theta).asarray(0.2 * rng.normal(size=len(theta)))
    if hasattr(agent, "temperature"):
        temperature = agent.temperature
        temperature.log_alpha = Parameter(temperature.log_alpha.data.astype(np.float64))
        temperature.optimizer = Adam(ParameterVector({"log_alpha": temperature.log_alpha}), agent.config.lr)
    observe = agent.observe
    agent.observe = lambda observations: observe(observations).astype(np.float64)
    agent.rngs = {name: Recorder(generator) for name, generator in agent.rngs.items()}
    return agent


def modules(agent) -> list[Module]:
    """All networks, targets included."""
    found = [getattr(agent, name) for name in ("policy", "target_policy", "behavior") if hasattr(agent, name)]
    for values in critics_of(agent):
        found += [*values.networks, *values.targets]
    return [*found, agent.value] if isinstance(getattr(agent, "value", None), Module) else found


def critics_of(agent) -> list:
    """Groups of critics: of state and action, and of the state alone."""
    return [getattr(agent, name) for name in ("critics", "value") if hasattr(getattr(agent, name, None), "networks")]


def parameters(module: Module) -> dict[str, np.ndarray]:
    """Copies, by PyTorch's names."""
    return {name: np.array(to_device(p.data, "cpu"), np.float64) for name, p in module.named_parameters()}


def running(module: Module) -> dict[str, np.ndarray]:
    """Copies of running means and variances."""
    buffers = {name: to_device(b.data, "cpu") for name, b in module.named_buffers()}
    return {name: np.array(x, np.float64) for name, x in buffers.items() if x.dtype.kind == "f"}


def reference(agent):
    """The reference of an agent, as it is now."""
    c, name = agent.config, type(agent).__name__
    name = {"MVE": "DDPG", "MBPO": "SAC"}.get(name, name)  # whose step they take
    if hasattr(policy_gradient, name):
        known = policy_gradient.Settings.__dataclass_fields__
        settings = {field: getattr(c, field) for field in known if hasattr(c, field)}
        settings["discrete"] = agent.space.action.kind == "Discrete"
        learner = getattr(policy_gradient, name)
        return learner(policy_gradient.Settings(**settings), parameters(agent.policy), parameters(agent.value))
    if name == "DPG":
        settings = dpg.Settings(**{field: getattr(c, field) for field in dpg.Settings.__dataclass_fields__})
        return dpg.DPG(settings, parameters(agent.policy), parameters(agent.critics.networks[0]))
    if name == "TRPO":
        fields = {field: getattr(c, field) for field in trpo.Settings.__dataclass_fields__ if hasattr(c, field)}
        settings = trpo.Settings(**fields, discrete=agent.space.action.kind == "Discrete")
        return trpo.TRPO(settings, parameters(agent.policy), parameters(agent.value))
    if name == "PPO":
        mirror = agent.mirror
        reflection = None
        if mirror is not None:
            reflection = mirror.observation_index, mirror.observation_sign, mirror.action_index, mirror.action_sign
        fields = {field: getattr(c, field) for field in ppo.Settings.__dataclass_fields__ if hasattr(c, field)}
        fields |= {"horizon": c.gae_horizon, "mirror": reflection, "discrete": agent.space.action.kind == "Discrete"}
        return ppo.PPO(ppo.Settings(**fields), parameters(agent.policy), {} if c.shared else parameters(agent.value))
    fields = {field: getattr(c, field) for field in off_policy.Settings.__dataclass_fields__ if hasattr(c, field)}
    if hasattr(agent, "temperature"):
        fields["target_entropy"] = -2.0 if c.target_entropy is None else c.target_entropy
    if name == "OnPolicySAC":
        settings = off_policy.Settings(**fields)
        return on_policy_sac.OnPolicySAC(*soft(agent, settings))
    fields |= {"limit": np.inf if c.error_limit is None else c.error_limit, "optimizer": c.critic_optimizer}
    settings = off_policy.Settings(**fields, normalization=c.critic_normalization, bounds=c.value_bounds)
    if hasattr(agent, "temperature"):
        if name == "SACValue":
            return off_policy.SACValue(
                *soft(agent, settings), critic(agent.value, 0, replace(settings, asymmetry=0.5, limit=np.inf))
            )
        return getattr(off_policy, name)(*soft(agent, settings))
    critics = [critic(agent.critics, i, settings) for i in range(len(agent.critics.networks))]
    if name == "QAscent":
        return off_policy.QAscent(settings, critics)
    policy = parameters(agent.policy)
    target = policy if agent.target_policy is agent.policy else parameters(agent.target_policy)
    return getattr(off_policy, name)(settings, policy, target, critics)


def soft(agent, settings: off_policy.Settings) -> tuple:
    """What every reference of SAC is made from: settings, policy, critics and ln α."""
    critics = [critic(agent.critics, i, settings) for i in range(len(agent.critics.networks))]
    return settings, parameters(agent.policy), critics, np.array(agent.temperature.log_alpha.data, np.float64)


def critic(values, i: int, settings: off_policy.Settings) -> off_policy.Critic:
    network, target = values.networks[i], values.targets[i]
    own, statistics = parameters(network), running(network)
    if target is network:
        return off_policy.Critic(own, own, settings, statistics, statistics)
    return off_policy.Critic(own, parameters(target), settings, statistics, running(target))


def update(agent, ref, data: off_policy.Data, normalized=lambda observations: observations) -> tuple[np.ndarray, np.ndarray]:
    """One off-policy update of both, with the same noise; the reference gets `normalized` observations. Both errors (B,)."""
    noise = agent.rngs.get("noise", Recorder(np.random.default_rng()))
    noise.drawn.clear()
    columns = data.observations, data.actions, data.rewards, data.next_observations, data.discounts, data.weights
    _, errors = agent.update(Batch(*columns, np.arange(len(data.rewards))))
    seen = replace(data, observations=normalized(data.observations), next_observations=normalized(data.next_observations))
    return errors, ref.update(seen, *noise.drawn)


def update_from_rollout(agent, ref, data: ppo.Trajectories, progress: float) -> tuple[dict, dict]:
    """One on-policy update of both, with the same minibatches; both metrics."""
    recorders = [agent.rngs.get(name, Recorder(np.random.default_rng())) for name in ("policy", "value")]
    for recorder in recorders:
        recorder.drawn.clear()
    metrics = agent.update(rollout_of(data), progress)
    return metrics, ref.update(data, progress, *(iter(recorder.drawn) for recorder in recorders))


def rollout_of(data: ppo.Trajectories) -> Rollout:
    columns = data.observations, data.actions, data.rewards, data.terminated, data.truncated, data.valid, data.last
    return Rollout(*columns, {place: x[None] for place, x in data.final.items()})


def compared(agent, ref) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """All that training changed: name -> the agent's array and the reference's."""
    pairs = {"policy": (parameters(agent.policy), ref.policy)}
    optimizers = {"policy": (agent.policy_optimizer, ref.policy_adam)} if hasattr(agent, "policy_optimizer") else {}
    if isinstance(getattr(agent, "value", None), Module):
        pairs["value"], optimizers["value"] = (parameters(agent.value), ref.value), (agent.value_optimizer, ref.value_adam)
    if hasattr(agent, "target_policy"):
        pairs["target policy"] = parameters(agent.target_policy), ref.target_policy
    if hasattr(agent, "temperature"):
        pairs["temperature"] = {"log_alpha": np.array(agent.temperature.log_alpha.data)}, ref.log_alpha
    for values, references in zip(critics_of(agent), ([*ref.critics], [getattr(ref, "value", None)]) if critics_of(agent) else ()):
        for i, expected in enumerate(references):
            network, target = values.networks[i], values.targets[i]
            name = f"{'critic' if values is agent.critics else 'value'} {i}"
            pairs[name] = parameters(network), expected.network
            if values is not agent.critics or not hasattr(agent, "value"):  # the first SAC has no target of Q
                pairs[f"target of {name}"] = parameters(target), expected.target
                pairs[f"running target of {name}"] = running(target), expected.target_running
            pairs[f"running {name}"] = running(network), expected.running
            optimizers[name] = values.optimizers[i], expected.adam
    for name, (given, expected) in optimizers.items():
        for moment in given.state:
            named = getattr(expected, moment)
            pairs[f"{moment} of {name}"] = split(to_device(given.state[moment], "cpu"), named), named
    return {f"{name}: {key}": (given[key], expected[key]) for name, (given, expected) in pairs.items() for key in expected}
