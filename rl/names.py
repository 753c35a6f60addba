"""Wrong keywords, answered with ours: those of other libraries by a table, misspelt ones by the nearest.

`explained` goes around a function, or a class whose keywords are meant. Its signature stays what it
is.
"""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import wraps
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Class = TypeVar("Class", bound=type)
PAGE = "docs/settings.md compares all names"

# Names of Stable-Baselines3, CleanRL and Gymnasium -> ours: the first that the function has, or its Config.
OURS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "total_timesteps": ("total_steps",),
        "progress_bar": ("progress",),
        "verbose": ("progress",),
        "log_interval": ("log",),
        "tb_log_name": ("log",),
        "tensorboard_log": ("log",),
        "callbacks": ("callback",),
        "n_eval_episodes": ("episodes",),
        "num_episodes": ("episodes",),
        "eval_env": ("env",),
        "env_kwargs": ("env_settings",),
        "env_id": ("env",),
        "gym_id": ("env",),
        "learning_rate": ("lr",),
        "policy_lr": ("lr",),
        "q_lr": ("critic_lr",),
        "n_envs": ("num_envs",),
        "n_steps": ("steps", "n_step"),
        "num_steps": ("steps",),
        "n_epochs": ("epochs",),
        "update_epochs": ("epochs",),
        "num_minibatches": ("batch_size",),
        "minibatch_size": ("batch_size",),
        "gae_lambda": ("lam",),
        "clip_range": ("clip",),
        "clip_coef": ("clip",),
        "clip_range_vf": ("value_clip",),
        "clip_vloss": ("value_clip",),
        "ent_coef": ("entropy_coef", "temperature"),
        "vf_coef": ("value_coef",),
        "normalize_advantage": ("normalize_advantages",),
        "norm_adv": ("normalize_advantages",),
        "norm_obs": ("normalize_observations",),
        "norm_reward": ("scale_rewards",),
        "buffer_size": ("memory",),
        "learning_starts": ("warmup",),
        "train_freq": ("update_interval",),
        "gradient_steps": ("updates",),
        "optimize_memory_usage": ("memory",),
        "replay_buffer_class": ("hindsight",),
        "replay_buffer_kwargs": ("hindsight_k",),
        "goal_selection_strategy": ("hindsight",),
        "n_sampled_goal": ("hindsight_k",),
        "policy_delay": ("delay",),
        "policy_frequency": ("delay",),
        "action_noise": ("exploration",),
        "exploration_noise": ("exploration",),
        "target_policy_noise": ("smoothing",),
        "policy_noise": ("smoothing",),
        "target_noise_clip": ("smoothing_clip",),
        "noise_clip": ("smoothing_clip",),
        "alpha": ("temperature", "lr"),
        "autotune": ("temperature",),
        "epsilon": ("random_share", "exploration"),
        "exploration_final_eps": ("random_share",),
        "end_e": ("random_share",),
        "exploration_fraction": ("random_steps",),
        "target_update_interval": ("target_interval",),
        "target_network_frequency": ("target_interval",),
        "planning_steps": ("planning",),
        "use_rms_prop": ("optimizer",),
        "rms_prop_eps": ("optimizer_eps",),
        "target_kl": ("max_kl",),
        "cg_max_steps": ("cg_steps",),
        "cg_damping": ("damping",),
        "line_search_shrinking_factor": ("shrink",),
        "line_search_max_iter": ("backtracks",),
        "sub_sampling_factor": ("sub_sampling",),
        "n_critic_updates": ("epochs",),
        "net_arch": ("hidden",),
        "activation_fn": ("activation",),
        "log_std_init": ("initial_sigma",),
        "recall": ("memory",),
        "memory_size": ("recall_size",),
        "memory_span": ("recall_span",),
        "lstm_hidden_size": ("memory_size", "recall_size"),
        "use_sde": ("sde_interval",),
        "n_atoms": ("atoms",),
        "v_min": ("lowest",),
        "v_max": ("highest",),
        "n_quantiles": ("quantiles",),
        "sde_sample_freq": ("sde_interval",),
    }
)
ELSEWHERE: Mapping[str, str] = MappingProxyType(  # what another of our functions takes
    {
        "decision_period": "env_settings={'decision_period': …}",
        "stacked_inputs": "env_settings={'stacked_inputs': …}",
        "verbose": "learn(progress=True)",
        "tensorboard_log": 'learn(log="tensorboard")',
        "total_timesteps": "learn(total_steps)",
        "total_steps": "learn(total_steps)",
        "policy_kwargs": "the Config's hidden and activation, or a network of your own as policy=",
    }
)
NOTHING: Mapping[str, str] = MappingProxyType(  # what has no counterpart, and why
    {
        "device": "this algorithm computes on the CPU; deepnp.set_num_threads chooses the threads",
        "reset_num_timesteps": "steps are counted over the agent's whole life",
        "use_sde": "state-dependent exploration is a setting of the on-policy algorithms",
        "sde_sample_freq": "state-dependent exploration is a setting of the on-policy algorithms",
        "return_episode_rewards": "evaluate returns the array of all returns; rl.training.evaluation.play tells lengths too",
    }
)
POLICY_NAMES = ("MlpPolicy", "CnnPolicy", "MultiInputPolicy")


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """The function, raising TypeErrors that name ours where it gets keywords that it does not have."""
    known = [name for name, p in inspect.signature(function).parameters.items() if p.kind is not p.POSITIONAL_ONLY]

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not kwargs.keys() <= names:
            owner = args[0] if args and known[0] == "self" else None
            constructor = function.__name__ == "__init__"
            title = type(owner).__name__ if constructor else function.__name__
            refuse(title, known, [name for name in kwargs if name not in names], type(owner) if constructor else None)
        return function(*args, **kwargs)

    names = frozenset(known)
    return call


def explained_class(cls: Class) -> Class:
    """The class, with such a constructor."""
    cls.__init__ = explained(cls.__init__)  # type: ignore[misc]
    return cls


def refuse(title: str, known: Iterable[str], given: Iterable[str], cls: type | None = None) -> None:
    """Raise the TypeError for keywords that `title` does not have.

    Parameters
    ----------
    title : str
        What was called.
    known, given : iterable of str
        The keywords that it has, and those that it has not.
    cls : type, optional
        An agent's class: its settings are looked at, too.
    """
    own = [name for name in known if name != "self"]
    config = getattr(cls, "Config", None)
    settings = [f.name for f in fields(config)] if config else []
    answers = [_answer(name, own, settings, title, config) for name in given]
    raise TypeError(f"{title}(): {'; '.join(answers)} ({PAGE})")


def _answer(name, own, settings, title, config) -> str:
    if name in settings:
        return f"{name} is a setting: {title}(env, {config.__name__}({name}=…))"
    for ours in OURS.get(name, ()):
        if ours in own:
            return f"{name} is called {ours} here"
        if ours in settings:
            return f"{name} is the setting {ours} here: {title}(env, {config.__name__}({ours}=…))"
    if name in ELSEWHERE:
        return f"{name} is {ELSEWHERE[name]} here"
    if name in NOTHING:
        return f"there is no {name}: {NOTHING[name]}"
    nearest = difflib.get_close_matches(name, [*own, *settings], 1)
    return f"there is no {name}; " + (f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(own)}")


def check_no_policy_name(env: Any, title: str) -> None:
    """Raise TypeError where an agent is given the name of a policy in the place of an environment."""
    if isinstance(env, str) and env in POLICY_NAMES:
        raise TypeError(f'{title}(env, config, seed): networks are chosen from the spaces, so leave "{env}" out ({PAGE})')
