"""Learned models of an environment: an ensemble of networks that predict what a step changes, what it pays, and whether it ends.

    x = [s, a], standardised
    μ_e, and ln v_e if members are Gaussian, of [s′ − s, r], standardised;  a logit z_e
    Δ ~ N(μ_e, v_e), or Δ = μ_e
    s′ = s + Δ_s,  r̂ = Δ_r,  terminated if z_e > 0

v is the aleatoric uncertainty: what chance does, whatever is known. Where there were no data the
members disagree: that is the epistemic one.

The end has networks of its own, with the first two hidden layers' widths: where v is small, the
likelihood's gradient is so large that a shared network would not learn what is rare.

Means and deviations are those of the data that the model was last fitted to. What it predicts is
held within the range of these data, widened by its own width on both sides: nothing runs away.

Shapes: E members, B rows, O observation, A action columns (choices one-hot), D = O + 1 predicted numbers.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from deepnp import Module
from deepnp.parameters import Buffer, Parameter
from rl.experience.actions import ActionLayout
from rl.losses.models import bound_log_variance, bounded_nll, end_loss, squared_error
from rl.networks.members import members_mlp, predict_one
from rl.networks.parallel import independently

LOW, HIGH = -10.0, 0.5  # bounds of ln v at the start


class Prediction(NamedTuple):
    """What members say of some rows, in the environment's units.

    Attributes
    ----------
    mean : array (…, B, D)
        Of [s′ − s, r].
    variance : array (…, B, D)
        v; zeros of a deterministic model.
    logits : array (…, B)
        z: above 0 the step terminates.
    """

    mean: np.ndarray
    variance: np.ndarray
    logits: np.ndarray


class Dynamics(Module):
    """An ensemble of E members.

    Parameters
    ----------
    observations : int
        O.
    action : ActionLayout
        A Box or a Discrete.
    members : int
        E.
    hidden : sequence of int
        Widths of each member's hidden layers.
    activation : callable returning a Module
    gaussian : bool
        Whether members predict a variance.
    rng : numpy.random.Generator
        Source of the initial weights.
    elites : int, optional
        How many members count: the best ones of the last fit. None: all.
    """

    def __init__(
        self,
        observations: int,
        action: ActionLayout,
        members: int,
        hidden: Sequence[int],
        activation: Callable[[], Module],
        gaussian: bool,
        rng: np.random.Generator,
        elites: int | None = None,
    ):
        self.observations, self.action, self.members, self.gaussian = observations, action, members, gaussian
        inputs, outputs = observations + action.outputs, observations + 1
        self.body = members_mlp(members, (inputs, *hidden, (2 if gaussian else 1) * outputs), activation, rng)
        self.ending = members_mlp(members, (inputs, *hidden[:2], 1), activation, rng)
        self.low = Parameter(np.full(outputs if gaussian else 0, LOW, np.float32))
        self.high = Parameter(np.full(outputs if gaussian else 0, HIGH, np.float32))
        self.input_shift, self.input_scale = Buffer(np.zeros(inputs, np.float32)), Buffer(np.ones(inputs, np.float32))
        self.shift, self.scale = Buffer(np.zeros(outputs, np.float32)), Buffer(np.ones(outputs, np.float32))
        self.lowest, self.highest = (Buffer(np.full(outputs, bound, np.float32)) for bound in (-1e6, 1e6))
        self._elites = Buffer(np.arange(members if elites is None else elites))
        self._cache = None

    @property
    def elites(self) -> np.ndarray:
        """Numbers of the members that count, the best one first."""
        return self._elites.data

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """As every module's; ValueError, too, for elites that are no members, or scales that are not positive."""
        elites, scales = state.get("_elites"), [state.get(name) for name in ("scale", "input_scale")]
        if elites is not None and elites.dtype.kind in "iu" and not set(elites.ravel().tolist()) <= set(range(self.members)):
            raise ValueError(f"expected elites among {self.members} members, given {elites}")
        if any(scale is not None and not (scale > 0).all() for scale in scales):
            raise ValueError("expected scales of inputs and targets that are positive")
        super().load_state_dict(state)

    def inputs(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """[s, a], standardised: observations (…, B, O) and actions (…, B, A), or choices (…, B) -> (…, B, O + A)."""
        if self.action.choices:
            actions = np.eye(self.action.outputs, dtype=np.float32)[actions]
        x = np.concatenate([observations, actions], axis=-1)
        return ((x - self.input_shift.data) / self.input_scale.data).astype(self.low.data.dtype)

    def targets(self, observations: np.ndarray, rewards: np.ndarray, following: np.ndarray) -> np.ndarray:
        """[s′ − s, r], standardised: (B, D)."""
        changes = np.concatenate([following - observations, rewards[:, None]], axis=1)
        return (changes - self.shift.data) / self.scale.data

    def forward(self, x) -> np.ndarray:
        """Standardised inputs (E, B, O + A) -> μ, what ln v is made of, and z, side by side: (E, B, ·)."""
        return np.concatenate([self.body.forward(x), self.ending.forward(x)], axis=-1)

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        pairs: list[tuple[Module, np.ndarray]] = [(self.body, dy[..., :-1]), (self.ending, dy[..., -1:])]
        dx = [network.backward(d, params, inputs) for network, d in pairs]
        return sum(dx) if inputs else None

    def predict(self, x) -> np.ndarray:
        return np.concatenate([self.body.predict(x), self.ending.predict(x)], axis=-1)

    def member_parameters(self) -> list[Parameter]:
        """What each member has of its own: parameters (E, …)."""
        return self.body.parameters() + self.ending.parameters()

    def add_gradient(self, x: np.ndarray, targets: np.ndarray, ended: np.ndarray) -> float:
        """Add the gradient of the loss of standardised rows: x (E, B, O + A), targets (E, B, D), ended (E, B).

        Returns the loss, a sum over members.
        """
        y = self.forward(x)
        mean, raw, logits = self.split(y)
        ends, dlogits = end_loss(logits, ended)
        if self.gaussian:
            loss, (dmean, draw, dlow, dhigh) = bounded_nll(mean, raw, self.low.data, self.high.data, targets)
            self.low.grad += dlow
            self.high.grad += dhigh
        else:
            (loss, dmean), draw = squared_error(mean, targets), raw
        self.backward(np.concatenate([dmean, draw, dlogits[..., None]], axis=-1), inputs=False)
        return loss + ends

    def outlook(self, observations: np.ndarray, actions: np.ndarray) -> Prediction:
        """What every member says of the same rows: observations (B, O), actions (B, A) or (B,) -> (E, B, ·)."""
        return self._in_units(self.predict(self.inputs(observations, actions)[None]))

    def uncertainty(self, observations: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Variances (B, D) of [s′ − s, r]: the aleatoric one, mean of v, and the epistemic one, variance of the elites' μ."""
        mean, variance, _ = (x[self.elites] for x in self.outlook(observations, actions))
        return variance.mean(axis=0), mean.var(axis=0)

    def step(
        self, observations: np.ndarray, actions: np.ndarray, members: np.ndarray, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One imagined step of each row by the member that it names.

        Parameters
        ----------
        observations : array (B, O)
        actions : array (B, A), or choices (B,)
        members : int array (B,)
        rng : numpy.random.Generator or None
            For draws of N(μ, v); None: μ.

        Returns
        -------
        following : array (B, O)
        rewards : array (B,)
        terminated : bool array (B,)
        """
        y = self._by_member(self.inputs(observations, actions), members)
        mean, variance, logits = self._in_units(y)
        if rng is not None and self.gaussian:
            mean = mean + np.sqrt(variance) * rng.standard_normal(mean.shape, np.float32)
        mean[:, :-1] += observations
        mean = np.clip(mean, self.lowest.data, self.highest.data)
        return mean[:, :-1], mean[:, -1], logits > 0

    def _by_member(self, x, members):
        """Outputs (B, ·) of rows x (B, O + A), each of its own member, side by side on two threads."""
        rows = [np.flatnonzero(members == e) for e in range(self.members)]
        y = np.empty((len(x), self._width), x.dtype)

        def run(e, own):
            y[own] = np.concatenate([predict_one(network, x[own], e) for network in (self.body, self.ending)], axis=1)

        independently(*(lambda e=e, own=own: run(e, own) for e, own in enumerate(rows) if len(own)), rows=x)
        return y

    @property
    def _width(self):
        return (2 if self.gaussian else 1) * (self.observations + 1) + 1

    def split(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Outputs as μ (…, D), what ln v is made of, of width 0 in a deterministic model, and z (…)."""
        end = self.observations + 1
        return y[..., :end], y[..., end:-1], y[..., -1]

    def _in_units(self, y) -> Prediction:
        mean, raw, logits = self.split(y)
        scale = self.scale.data
        if self.gaussian:
            variance = np.exp(bound_log_variance(raw, self.low.data, self.high.data)) * (scale * scale)
        else:
            variance = np.zeros_like(mean)
        return Prediction(mean * scale + self.shift.data, variance, logits)
