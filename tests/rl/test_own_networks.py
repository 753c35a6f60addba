"""Networks of one's own: they are trained, saved and loaded as the algorithm's own are, or refused with a word on why."""

import copy
import pickle

import numpy as np
import pytest

import rl
from deepnp import BatchNorm1d, Dropout, LayerNorm, Linear, Module, NonFiniteError, Sequential, Tanh
from tests.rl.references.worlds import Choices, World

O, A = World().observation_space.shape[0], World().action_space.shape[0]  # noqa: E741
OFF_POLICY = [
    name for name, a in rl.ALGORITHMS.items() if {"policy", "critic"} <= set(a.cls.own_networks) and not a.takes.on_policy
]
SMALL = dict(hidden=(8,), batch_size=8, memory=100, warmup=20)


class Doubled(Module):
    """A module that no fast form knows."""

    def __init__(self, body):
        self.body = body

    def forward(self, x):
        return 2 * self.body.forward(x)

    def backward(self, dy, params=True, inputs=True):
        return self.body.backward(2 * dy, params, inputs)

    def predict(self, x):
        return 2 * self.body.predict(x)


class DoubledSequential(Sequential):
    """A stack of dense layers whose passes are its own: a fast form for the layers would forget the 2."""

    def forward(self, x):
        return 2 * super().forward(x)

    def backward(self, dy, params=True, inputs=True):
        return super().backward(2 * dy, params, inputs)

    def predict(self, x):
        return 2 * super().predict(x)


def body(outputs, inputs=O, seed=0, kind=Sequential):
    rng = np.random.default_rng(seed)
    return kind(Linear(inputs, 8, rng=rng), Tanh(), Linear(8, outputs, rng=rng))


def critic(rng):
    return Sequential(Linear(O + A, 8, rng=rng), LayerNorm(8), Tanh(), Linear(8, 1, rng=rng))


def outputs_of(name):
    return 2 * A if name.startswith("SAC") or name == "MBPO" else A


def off_policy(name, policy=None, **settings):
    algorithm = getattr(rl, name)
    policy = body(outputs_of(name)) if policy is None else policy
    return algorithm(World, algorithm.Config(**SMALL, **settings), policy=policy, critic=critic)


def on_policy(**networks):
    return rl.PPO(World, rl.PPOConfig(steps=16, batch_size=8, hidden=(8,)), **networks)


def copied(module):
    return {name: np.array(x) for name, x in module.state_dict().items()}


def assert_moved(module, before):
    for name, x in module.state_dict().items():
        assert not np.array_equal(x, before[name]), f"{name} stayed"


def assert_same(agent, other):
    for name, thing in agent.parts().items():
        for key, x in thing.state_dict().items():
            np.testing.assert_array_equal(x, other.parts()[name].state_dict()[key], err_msg=f"{name}.{key}")


@pytest.mark.parametrize("wrap", [lambda m: m, Doubled], ids=["stack", "unknown"])
def test_ppo_trains_the_very_objects(wrap):
    policy, value = wrap(body(A)), wrap(body(1))
    before = copied(policy), copied(value)
    agent = on_policy(policy=policy, value=value).learn(64)
    assert_moved(policy, before[0])
    assert_moved(value, before[1])
    assert agent.value is value
    assert agent.policy.mean is policy


def test_ppo_with_choices_takes_logits():
    space = rl.PPO(Choices, rl.PPOConfig(hidden=(8,))).space
    policy = body(space.actions, inputs=space.observations)
    agent = rl.PPO(Choices, rl.PPOConfig(steps=16, batch_size=8, hidden=(8,)), policy=policy)
    before = copied(policy)
    agent.learn(64)
    assert_moved(policy, before)


@pytest.mark.parametrize("name", OFF_POLICY)
def test_off_policy_trains_the_very_objects(name):
    policy = body(outputs_of(name))
    before = copied(policy)
    agent = off_policy(name, policy)
    critics = [copied(network) for network in agent.critics.networks]
    agent.learn(60)
    assert_moved(policy, before)
    for network, start in zip(agent.critics.networks, critics, strict=True):
        assert_moved(network, start)


@pytest.mark.parametrize("name", ["PPO", "SAC", "TD3"])
def test_a_subclass_of_sequential_keeps_its_own_passes(name):
    """What is computed is what the module says, not what the layers in it would give."""
    results = []
    for wrap in (lambda n: Doubled(body(n)), lambda n: body(n, kind=DoubledSequential)):
        if name == "PPO":
            agent = on_policy(policy=wrap(A), value=wrap(1)).learn(64)
            results.append([agent.policy.flat.data, agent.value.flat.data])
        else:
            results.append([off_policy(name, wrap(outputs_of(name))).learn(60).policy.flat.data])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_our_own_networks_handed_in_give_the_same_bits():
    plain = on_policy()
    twins = {"policy": copy.deepcopy(plain.policy.mean), "value": copy.deepcopy(plain.value)}
    assert_same(plain.learn(64), on_policy(**twins).learn(64))


@pytest.mark.filterwarnings("ignore:World begins new episodes")
@pytest.mark.parametrize("name", ["PPO", "SAC", "TD3"])
def test_saved_and_loaded_with_the_networks_again(name, tmp_path):
    def networks():
        return {"policy": body(A), "value": body(1)} if name == "PPO" else {"policy": body(outputs_of(name)), "critic": critic}

    agent = on_policy(**networks()) if name == "PPO" else off_policy(name)
    agent.learn(40).save(tmp_path / "a.safetensors")
    own = networks()
    loaded = rl.load(tmp_path / "a.safetensors", World, **own)
    assert_same(agent, loaded)
    before = copied(own["policy"])
    loaded.learn(80)
    assert_moved(own["policy"], before)
    with pytest.raises(ValueError, match=rf"expected the agent.s own .* again.*{name}.load.path, .*policy=…"):
        rl.load(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"missing \["):
        rl.load(tmp_path / "a.safetensors", **{**networks(), "policy": Linear(O, outputs_of(name))})


def test_a_file_without_networks_of_one_s_own_takes_none(tmp_path):
    on_policy().save(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="given value="):
        rl.load(tmp_path / "a.safetensors", value=body(1))


def test_copies_are_apart_and_pickles_are_refused():
    agent = on_policy(policy=body(A), value=body(1)).learn(32)
    twin = copy.deepcopy(agent)
    assert_same(agent, twin)
    assert twin.value is not agent.value
    before = copied(agent.value)
    twin.learn(64)
    np.testing.assert_array_equal(agent.value.flat.data, np.concatenate([x.ravel() for x in before.values()]))
    agent.learn(64)
    with pytest.raises(TypeError, match="networks of one's own cannot be pickled"):
        pickle.dumps(agent)


def refused_twice():
    policy, value = body(A), body(1)
    value[0].weight = policy[0].weight
    return on_policy(policy=policy, value=value)


taken = on_policy(policy=body(A)).policy.mean
REFUSED = {
    "expected policy as a deepnp.Module, given 3": lambda: on_policy(policy=3),
    "so make one: Linear": lambda: on_policy(policy=Linear),
    r"expected policy.forward of observations \(B, 3\) to give \(B, 2\) of float32, given \(B, 3\)": lambda: on_policy(
        policy=body(A + 1)
    ),
    r"expected value to read observations \(B, 3\)": lambda: on_policy(value=Linear(O + 1, 1)),
    "expected value to have parameters": lambda: on_policy(value=Tanh()),
    "without random draws": lambda: on_policy(policy=Sequential(Linear(O, A), Dropout(0.1))),
    "a policy that acts as it learns": lambda: on_policy(policy=Sequential(Linear(O, A), BatchNorm1d(A))),
    "with float32 parameters on the CPU, given float64": lambda: on_policy(policy=Linear(O, A).to(np.float64)),
    "to own its parameters": lambda: on_policy(policy=taken),
    "expected networks that share no parameter": refused_twice,
    r"expected policy.forward of observations \(B, 3\) to give \(B, 4\)": lambda: rl.SAC(
        World, rl.SACConfig(hidden=(8,)), policy=body(A)
    ),
    "expected shared=True": lambda: off_policy("SAC", shared=False),
    "expected critic as a function": lambda: rl.SAC(World, rl.SACConfig(hidden=(8,)), critic=Linear(O + A, 1)),
    "expected critic as a function of one argument": lambda: rl.TD3(
        World, rl.TD3Config(hidden=(8,)), critic=lambda: Linear(O + A, 1)
    ),
    "critics that begin differently": lambda: rl.TD3(World, rl.TD3Config(hidden=(8,)), critic=lambda _: body(1, O + A)),
    r"expected critic to read observations and actions \(B, 5\)": lambda: rl.DDPG(
        World, rl.DDPGConfig(hidden=(8,)), critic=lambda rng: Linear(O, 1, rng=rng)
    ),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_trained_is_refused(words):
    with pytest.raises((TypeError, ValueError), match=words):
        REFUSED[words]()


class Halting(Doubled):
    def backward(self, dy, params=True, inputs=True):
        raise NotImplementedError("no gradient yet")


def test_a_network_without_a_backward_pass_is_refused():
    with pytest.raises(ValueError, match="expected value to be trainable, given NotImplementedError in backward: no gradient yet"):
        on_policy(value=Halting(body(1)))


def test_an_agent_that_lost_its_network_to_another_says_so():
    value = body(1)
    first, second = on_policy(value=value), on_policy(value=value)
    second.learn(32)
    with pytest.raises(RuntimeError, match="parameters have moved to another vector"):
        first.learn(32)


class Overflowing(Doubled):
    """Its gradient is infinite, although its outputs are not."""

    def backward(self, dy, params=True, inputs=True):
        with np.errstate(all="ignore"):
            return self.body.backward(dy * np.float32(1e38), params, inputs)


@pytest.mark.parametrize("name", OFF_POLICY)
def test_a_policy_never_takes_a_step_along_an_infinite_gradient(name):
    policy = Overflowing(body(outputs_of(name)))
    before = copied(policy)
    with pytest.raises(NonFiniteError, match="policy's gradient"), np.errstate(all="ignore"):
        off_policy(name, policy).learn(60)
    for key, x in policy.state_dict().items():
        np.testing.assert_array_equal(x, before[key])
