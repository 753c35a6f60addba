"""Tiny environments whose right answers are known."""

from dataclasses import fields

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rl.experience.spaces import SpaceInfo
from rl.state import state_of


def space(observations: int, actions: int) -> SpaceInfo:
    """Vectors of numbers to observe, numbers in [−1, 1] to do."""
    return SpaceInfo.of(spaces.Box(-np.inf, np.inf, (observations,), np.float32), spaces.Box(-1, 1, (actions,), np.float32))


def states(agent) -> dict[str, np.ndarray]:
    """Everything that training changes, by name."""
    return state_of(agent.parts())


class Target(gymnasium.Env):
    """One step an episode: the reward is −(a − s)², or 1 for the right one of two choices. Best return: 0 or 1."""

    def __init__(self, discrete: bool = False):
        self.observation_space = spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = spaces.Discrete(2) if discrete else spaces.Box(-2, 2, (1,), np.float32)
        self.discrete = discrete

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = np.float32(self.np_random.choice([-1.0, 1.0]) * 0.5)
        return np.array([self.state]), {}

    def step(self, action):
        reward = float(action == (self.state > 0)) if self.discrete else -float((action[0] - self.state) ** 2)
        return np.array([self.state]), reward, True, False, {}


class Endless(gymnasium.Env):
    """Constant reward 1, truncated every `limit` steps: V = 1/(1 − γ) exactly, if truncation bootstraps.

    Or terminated after them, if asked.
    """

    def __init__(self, limit: int = 5, terminates: bool = False):
        self.observation_space = spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.limit, self.terminates = limit, terminates

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.count += 1
        ends = self.count >= self.limit
        return np.zeros(1, np.float32), 1.0, ends and self.terminates, ends and not self.terminates, {}


class Counter(gymnasium.Env):
    """Observes how many steps the episode has had; terminates or is truncated after `limit`. For traces by hand."""

    def __init__(self, limit: int = 3, truncates: bool = False, broken: str | None = None):
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.limit, self.truncates, self.broken, self.episode = limit, truncates, broken, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count, self.episode = 0, self.episode + 1
        return self._observe(), {}

    def step(self, action):
        self.count += 1
        done = self.count >= self.limit
        reward = np.nan if self.broken == "reward" and self.episode == 2 else float(self.count)
        return self._observe(), reward, done and not self.truncates, done and self.truncates, {"count": self.count}

    def _observe(self):
        bad = self.broken == "observation" and self.episode == 2 and self.count == 1
        return np.array([np.nan if bad else self.count, self.episode], np.float32)


class Remembering(gymnasium.Env):
    """A user's environment, as they are: numbers, a list and a generator decide what comes next, and it tells of them."""

    def __init__(self):
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.place, self.path = 0.0, []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.path = self.np_random.normal(), []
        return self._observe(), {}

    def step(self, action):
        self.path.append(self.place)
        self.place += float(action[0]) + self.np_random.normal() / 10
        return self._observe(), -abs(self.place), len(self.path) >= 17, False, {}

    def state(self):
        return {"place": self.place, "path": list(self.path)}

    def set_state(self, state):
        self.place, self.path = state["place"], list(state["path"])

    def _observe(self):
        return np.array([self.place, len(self.path)], np.float32)


class Reach(gymnasium.Env):
    """A point that moves up to 0.05 along each axis in a step, and a goal that a random walk hardly ever meets.

    The reward is −[|goal − point| > 0.05]; episodes are truncated after `limit` steps, or terminated at the goal if asked.
    """

    def __init__(self, limit: int = 40, terminates: bool = False, distance: tuple[float, float] = (0.7, 1.2)):
        parts = {name: spaces.Box(-4, 4, (2,), np.float32) for name in ("achieved_goal", "desired_goal", "observation")}
        self.observation_space, self.action_space = spaces.Dict(parts), spaces.Box(-1, 1, (2,), np.float32)
        self.limit, self.terminates, self.distance = limit, terminates, distance
        self.seed, self.episode = 0, 0

    def reset(self, *, seed=None, options=None):
        self.seed, self.episode = (self.seed, self.episode + 1) if seed is None else (seed, 0)
        rng = np.random.default_rng((self.seed, self.episode))
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(*self.distance)
        self.goal = np.float32([distance * np.cos(angle), distance * np.sin(angle)])
        self.point, self.count = np.zeros(2, np.float32), 0
        return self._observe(), {}

    def step(self, action):
        self.point = self.point + np.float32(0.05) * action
        self.count += 1
        reward = self.compute_reward(self.point, self.goal, {})
        done = self.compute_terminated(self.point, self.goal, {})
        return self._observe(), float(reward), done, self.count >= self.limit, {"is_success": float(reward == 0)}

    def compute_reward(self, achieved_goal, desired_goal, info):
        return -(np.linalg.norm(achieved_goal - desired_goal, axis=-1) > 0.05).astype(np.float32)

    def compute_terminated(self, achieved_goal, desired_goal, info):
        return self.terminates and bool(np.linalg.norm(achieved_goal - desired_goal) <= 0.05)

    def _observe(self):
        return {"observation": self.point.copy(), "achieved_goal": self.point.copy(), "desired_goal": self.goal}


class ResumableReach(SyncVectorEnv):
    """Several of `Reach`, whose situation can be saved."""

    def __init__(self, copies: int):
        super().__init__([Reach] * copies, autoreset_mode=AutoresetMode.SAME_STEP)

    def state(self):
        names = "point", "goal", "count", "seed", "episode"
        return {name: np.array([getattr(env, name) for env in self.envs]) for name in names}

    def set_state(self, state):
        for n, env in enumerate(self.envs):
            for name, values in state.items():
                setattr(env, name, values[n].copy())


# Of algorithms that learn a model: one that is soon fitted, and plans that are soon made.
MODEL = dict(members=2, elites=2, model_hidden=(16,), model_lr=1e-2, model_batch_size=64, model_interval=200, model_epochs=10)
MODEL |= dict(imagined_batch=16, imagined_memory=500, rollouts=50, horizon=2, candidates=20, plan_elites=5, particles=2)


def config_of(algorithm, **settings):
    """A Config with those of the settings that the algorithm has."""
    known = {f.name for f in fields(algorithm.config)}
    return algorithm.config(**{name: value for name, value in (MODEL | settings).items() if name in known})


def vectorize(make, copies: int, mode: AutoresetMode = AutoresetMode.SAME_STEP) -> SyncVectorEnv:
    return SyncVectorEnv([make] * copies, autoreset_mode=mode)


class Allowed(gymnasium.Env):
    """One step an episode, in which a mask drawn at random says what is allowed: anything else raises.

    The reward is the share of branches in which the last choice that is allowed was taken. The observation is always 0: only the
    mask tells, in the observation or in the infos. When the episode ends nothing is allowed.
    """

    def __init__(self, action_space, told: str = "observation"):
        self.action_space, self.told = action_space, told
        self.layout = SpaceInfo.of(spaces.Discrete(2), action_space).action
        plain = spaces.Box(-1, 1, (1,), np.float32)
        mask = spaces.MultiBinary(sum(self.layout.choices))
        self.observation_space = spaces.Dict(x=plain, action_mask=mask) if told == "observation" else plain

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        mask = self.np_random.random(sum(self.layout.choices)) < 0.5
        starts = np.cumsum((0, *self.layout.choices[:-1]))
        mask[starts + self.np_random.integers(self.layout.choices)] = True
        self.branches = np.split(mask, starts[1:])
        return self._observe(mask)

    def step(self, action):
        chosen = np.ravel(action) - np.array(self.layout.start)
        if not all(branch[i] for branch, i in zip(self.branches, chosen, strict=True)):
            raise AssertionError(f"{action} is forbidden by {self.branches}")
        best = [int(np.flatnonzero(branch)[-1]) for branch in self.branches]
        observation, info = self._observe(np.zeros(sum(self.layout.choices), bool))
        return observation, float(np.mean(chosen == best)), True, False, info

    def _observe(self, mask):
        x, mask = np.zeros(1, np.float32), mask.astype(np.int8)
        return ({"x": x, "action_mask": mask}, {}) if self.told == "observation" else (x, {"action_mask": mask})


class Steered(gymnasium.ActionWrapper):
    """A task for numbers, for those who choose: the first of two choices is −½ in every dimension, the second ½."""

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.action_space = spaces.Discrete(2)

    def action(self, action):
        box = self.env.action_space
        return np.full(box.shape, action - 0.5, box.dtype)


class Numbered(gymnasium.ObservationWrapper):
    """A task for vectors, for those who keep a table: which eighth of [−1, 1] the first value lies in."""

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.observation_space = spaces.Discrete(8)

    def observation(self, observation):
        return int(np.clip((np.ravel(observation)[0] + 1) * 4, 0, 7))


def suited(algorithm, env):
    """The task, an id or a factory, as an algorithm can take it: `Steered` where it takes no numbers, `Numbered` for a table."""
    if "Box" in algorithm.takes.actions:
        return env

    def made():
        task = Steered(gymnasium.make(env) if isinstance(env, str) else env())
        return Numbered(task) if algorithm.takes.tables else task

    return made


class Hybrid(gymnasium.Env):
    """One step an episode: a choice of one of two places, and a move. The reward is −(move − place)², −1 more for the wrong place.

    The right place is told by the observation's sign, ±1; the places are −0.6 and 0.4. Best return: 0.
    """

    state_attributes = ("sign", "_np_random")

    def __init__(self, nested: bool = False):
        self.observation_space = spaces.Box(-1, 1, (1,), np.float32)
        move, place = spaces.Box(-1, 1, (1,), np.float32), spaces.Discrete(2)
        self.action_space = spaces.Tuple((spaces.Dict(place=place), move)) if nested else spaces.Dict(move=move, place=place)
        self.nested = nested

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.sign = np.float32(self.np_random.choice([-1, 1]))
        return np.array([self.sign]), {}

    def step(self, action):
        if not self.action_space.contains(action):
            raise ValueError(f"expected an action in {self.action_space}, given {action}")
        place, move = (action[0]["place"], action[1]) if self.nested else (action["place"], action["move"])
        right = int(self.sign > 0)
        reward = -float((move[0] - (-0.6, 0.4)[right]) ** 2) - float(place != right)
        return np.array([self.sign]), reward, True, False, {}


class Marked(gymnasium.Env):
    """One step an episode: the reward is the share of two things of five that were to be chosen. Best return: 1."""

    state_attributes = ("marks", "_np_random")

    def __init__(self):
        self.observation_space, self.action_space = spaces.Box(0, 1, (5,), np.float32), spaces.MultiBinary(5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.marks = np.zeros(5, np.float32)
        self.marks[self.np_random.permutation(5)[:2]] = 1
        return self.marks.copy(), {}

    def step(self, action):
        if action.sum() != 2:
            raise ValueError(f"expected two of five, given {action}")
        return self.marks.copy(), float(self.marks @ action) / 2, True, False, {}


class Seen(gymnasium.Env):
    """A picture and a number to see, numbers to do."""

    observation_space = spaces.Dict({"picture": spaces.Box(0, 255, (1, 8, 8), np.uint8), "number": spaces.Box(-1, 1, (2,))})
    action_space = spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 7
        return self.observation_space.sample(), {}

    def step(self, action):
        self.left -= 1
        return self.observation_space.sample(), float(action[0]), False, self.left == 0, {}
