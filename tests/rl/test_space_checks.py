"""Spaces that a file tells of: those that agents have are taken, and anything else is refused in words."""

import json
from dataclasses import replace

import numpy as np
import pytest
from gymnasium import spaces

from rl.experience.space_checks import check_space, largest_array
from rl.experience.spaces import ObservationLayout, SpaceInfo
from rl.experience.symmetry import Mirror

BOX = spaces.Box(-1, 1, (3,), np.float32)
OBSERVATIONS = [
    BOX,
    spaces.Box(0, 255, (16, 16, 3), np.uint8),
    spaces.Discrete(4, start=-2),
    spaces.MultiDiscrete([[2, 3], [4, 5]]),
    spaces.MultiBinary((2, 3)),
    spaces.Dict({"a": BOX, "b": spaces.Tuple([spaces.Discrete(3), spaces.Box(-np.inf, np.inf, (), np.float64)])}),
]
ACTIONS = [
    BOX,
    spaces.Box(-np.inf, np.inf, (2, 2), np.float64),
    spaces.Discrete(3, start=5),
    spaces.MultiDiscrete([2, 3]),
    spaces.MultiBinary(4),
    spaces.Dict(a=BOX, b=spaces.Tuple((spaces.Discrete(2), spaces.MultiBinary(3)))),
]


@pytest.mark.parametrize("action", ACTIONS, ids=str)
@pytest.mark.parametrize("observation", OBSERVATIONS, ids=str)
def test_what_is_made_of_spaces_is_taken(observation, action):
    space = SpaceInfo.of(observation, action)
    read = SpaceInfo.from_json(json.loads(json.dumps(space.to_json())))
    check_space(read)
    assert read == space
    assert largest_array(space) >= max(space.observations, space.actions, int(np.prod(observation.shape or 1)))


ALONE = SpaceInfo.of(BOX, BOX)
SEVERAL = SpaceInfo.of(BOX, ACTIONS[-1])
MASKED = SpaceInfo.of(spaces.Dict(x=BOX, action_mask=spaces.MultiBinary(3)), spaces.Discrete(3))
CHOSEN = SpaceInfo.of(spaces.Discrete(4), spaces.Discrete(3))
IMAGE = SpaceInfo.of(OBSERVATIONS[1], BOX)
MIRROR = Mirror(np.array([0, 2, 1]), np.ones(3), np.arange(3), -np.ones(3))


@pytest.mark.parametrize(
    "changed",
    [
        dict(parts=SEVERAL.action.parts[:2]), dict(parts=(SEVERAL.action,) * 3), dict(paths=(("a",),) * 3), dict(paths=((),) * 3),
        dict(paths=("a", "b", "c")), dict(kind="Tuple"), dict(kind="Box"), dict(choices=(2, 2, 2)), dict(start=()), dict(choose=1),
        dict(squash="sine"), dict(parts=(replace(ALONE.action, dtype="x"), *SEVERAL.action.parts[1:])),
    ],
    ids=str,
)  # fmt: skip
def test_actions_of_several_parts_that_are_none(changed):
    with pytest.raises(ValueError, match="expected the layout of an action, given"):
        check_space(replace(SEVERAL, action=replace(SEVERAL.action, **changed)))


@pytest.mark.parametrize(
    "changed", [dict(choices=(2,)), dict(path=("mask",)), dict(shape=(4,)), dict(start=(0,)), dict(choices=())]
)
def test_masks_that_are_none(changed):
    *others, mask = MASKED.observation.leaves
    assert mask.kind == "mask"
    with pytest.raises(ValueError, match=r"expected (a mask of the action's choices|the layout of an observation), given"):
        check_space(replace(MASKED, observation=ObservationLayout((*others, replace(mask, **changed)))))


@pytest.mark.parametrize(
    "changed",
    [
        dict(kind="box"), dict(shape=(0,)), dict(shape=(-3,)), dict(shape=(3.0,)), dict(shape=3), dict(shape=(True,)),
        dict(dtype="x"), dict(dtype="complex64"), dict(dtype="int64"), dict(dtype=1), dict(low=(0.0,)), dict(low=None),
        dict(low=(0, 0, float("nan"))), dict(high=(0, 0, float("inf"))), dict(high=(1, 1, "1")), dict(high=(1e300,) * 3),
        dict(choices=(3,)), dict(start=(0,)), dict(shape=(2**30, 2**30)),
    ],
    ids=str,
)  # fmt: skip
def test_actions_that_are_none(changed):
    with pytest.raises(ValueError, match="expected the layout of an action, given"):
        check_space(replace(ALONE, action=replace(ALONE.action, **changed)))


@pytest.mark.parametrize(
    "changed",
    [dict(choices=()), dict(choices=(0,)), dict(choices=(3, 3)), dict(start=()), dict(start=(0.5,)), dict(low=(0.0,))],
    ids=str,
)
def test_choices_that_are_none(changed):
    with pytest.raises(ValueError, match="expected the layout of an action, given"):
        check_space(replace(CHOSEN, action=replace(CHOSEN.action, **changed)))


@pytest.mark.parametrize(
    ("space", "changed"),
    [
        (ALONE, dict(shape=(2**30, 2**30))),
        (ALONE, dict(kind="image")), (ALONE, dict(kind="y")), (ALONE, dict(shape=None)), (ALONE, dict(dtype="O")),
        (ALONE, dict(path="a")),
        (ALONE, dict(path=(None,))), (ALONE, dict(channels_last=1)), (ALONE, dict(choices=(2,))), (ALONE, dict(shape=(0,))),
        (CHOSEN, dict(choices=(-1,))), (CHOSEN, dict(choices=(2, 2), start=(0, 0))), (IMAGE, dict(shape=(8, 0, 3))),
    ],
    ids=str,
)  # fmt: skip
def test_observations_that_are_none(space, changed):
    (leaf,) = space.observation.leaves
    with pytest.raises(ValueError, match="expected the layout of an observation, given"):
        check_space(replace(space, observation=replace(space.observation, leaves=(replace(leaf, **changed),))))


def test_no_observation_at_all():
    with pytest.raises(ValueError, match="expected the layout of an observation, given"):
        check_space(replace(ALONE, observation=replace(ALONE.observation, leaves=())))


@pytest.mark.parametrize("goal", [-1, 2, 1.0, None, True])
def test_goals_beyond_the_observation(goal):
    check_space(replace(ALONE, goal=1))
    with pytest.raises(ValueError, match="expected a goal within the observation"):
        check_space(replace(ALONE, goal=goal))


@pytest.mark.parametrize(
    "changed",
    [dict(action_index=np.array([0, 1, 3])), dict(action_index=np.array([0, 1, -1])), dict(observation_sign=np.ones(2))],
    ids=str,
)
def test_reflections_of_something_else(changed):
    check_space(replace(ALONE, mirror=MIRROR))
    with pytest.raises(ValueError, match="expected the reflection of 3 and 3 numbers, given another"):
        check_space(replace(ALONE, mirror=replace(MIRROR, **changed)))
