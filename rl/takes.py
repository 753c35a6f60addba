"""What an algorithm can learn from: which spaces, and where its experience comes from."""

from dataclasses import dataclass

from rl.experience.spaces import SpaceInfo

CONTINUOUS = ("Box",)
EVERY_ACTION = ("Box", "Discrete", "MultiDiscrete", "MultiBinary", "Dict", "Tuple")


@dataclass(frozen=True)
class Takes:
    """What an algorithm takes.

    Attributes
    ----------
    actions : tuple of str
        Kinds of action spaces.
    bounded : bool
        Whether a Box of actions needs finite bounds.
    images : bool
        Whether observations may hold images.
    masks : bool
        Whether it leaves out the choices that an action mask excludes; see rl/experience/masks.py.
    goals : bool
        Whether it can learn to reach goals, with hindsight.
    on_policy : bool
        Whether it learns from its present policy's experience alone.
    value : bool
        Whether it learns what states are worth.
    transitions : bool
        Whether it learns from single steps, and not from the returns of whole episodes alone.
    tables : bool
        Whether observations have to be choices, as it keeps a value for each of them.
    environment, model, dataset : bool
        What it needs to learn.
    """

    actions: tuple[str, ...] = CONTINUOUS
    bounded: bool = False
    images: bool = True
    masks: bool = False
    goals: bool = False
    on_policy: bool = True
    value: bool = True
    transitions: bool = True
    tables: bool = False
    environment: bool = True
    model: bool = False
    dataset: bool = False

    @property
    def ends_anywhere(self) -> bool:
        """Whether a training can end after any step and go on from there as if it had not; others end with an iteration."""
        return self.tables or not (self.on_policy and self.transitions)

    def check(self, name: str, space: SpaceInfo) -> None:
        """Raise ValueError, naming the algorithm, for spaces that it does not take."""
        action = space.action
        if action.kind not in self.actions:
            given = f"{action.kind}({', '.join(map(str, action.choices))})" if action.choices else action.kind
            raise ValueError(f"{name} takes {self.describe_actions()}, given {given}")
        if self.bounded and action.low is None:
            raise ValueError(f"{name} takes bounded actions (a Box with finite low and high), given an unbounded Box")
        if space.observation.mask and not self.masks:
            raise ValueError(f'{name} takes no action masks, given an observation with "action_mask"')
        if space.observation.images and not self.images:
            raise ValueError(f"{name} takes vectors as observations, given images of {space.observation.images[0].shape}")
        if self.tables and any(leaf.kind != "choices" for leaf in space.observation.leaves):
            given = "numbers (a Box or a MultiBinary)"  # images and masks are refused above
            raise ValueError(f"{name} takes observations that are choices (Discrete, MultiDiscrete, or several), given {given}")

    def describe_actions(self) -> str:
        """In words."""
        if self.actions == CONTINUOUS:
            return "continuous actions (a Box)"
        return f"actions in a {' or '.join(self.actions)} space"


STOCHASTIC_POLICY = Takes(actions=EVERY_ACTION, masks=True)  # what rl/networks/policies.py has a policy for
TABLE = Takes(actions=("Discrete",), images=False, on_policy=False, tables=True)  # what has a value for each state and action
