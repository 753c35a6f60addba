"""PreQN: Q-learning without target networks, its updates preconditioned by the tangent kernel (Achiam, Knight & Abbeel 2019).

    repeat
        a ← clip(μ(s) + N(0, 0.1²), ±1), step, remember (s, a, r, s′)
        every 50 steps, 50 times, for a minibatch
            Δ_i = r_i + γ(1 − terminated_i) Q(s′_i, μ(s′_i)) − Q(s_i, a_i)
            K_ij = ⟨∇θQ_i, ∇θQ_j⟩                                    exact, from each row's (x, dz) of every layer
            Z ← solution of K Z = Δ                                   so that along g the values move as Δ says:
            g = Σ_i Z_i ∇θQ_i                                         ∇θQ_i·g = Σ_j K_ij Z_j = Δ_i, to first order
            θ ← θ + αβ^j g     with the first j where cos(Q′ − Q, Δ) ≥ η
            φ ← Adam ascent on Q(s, μ(s))

To first order Q′ − Q = αΔ: every value moves towards its target and no other value moves in its
place, which is what makes Q-learning diverge with plain gradients. As the step shrinks, the cosine
tends to that of K Z and Δ. Where this limit is below η no step would be accepted, so none is tried
(the paper's line search would not end). β, the number of tries and the solver's tolerance are ours.

With importance weights w the solution is that of weighted least squares, W^½KW^½ y = W^½Δ with
Z = W^½y; w = 1 is the line above.

Shapes: B rows, A action dimensions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deepnp import Module
from deepnp.models.mlp import ACTIVATIONS
from deepnp.optim import Adam
from deepnp.tangents import pairs, tangent_kernel, weighted_gradient
from rl.agent import Agent
from rl.algorithms.replay_config import ReplayConfig, make_memory
from rl.config import rate, setting
from rl.experience import trees
from rl.experience.environments import EnvLike
from rl.experience.exploration import gaussian
from rl.experience.replay import Batch
from rl.loops import off_policy
from rl.losses.checks import check_finite
from rl.names import explained, explained_class
from rl.networks.actors import deterministic_policy, value_gradient
from rl.networks.critics import Critics
from rl.networks.encoders import network
from rl.networks.initialization import glorot
from rl.networks.own import check_apart, given_networks, own_critics
from rl.networks.parallel import Halves
from rl.schedules import Rate
from rl.solvers.least_squares import Solved, cosine, ridge, truncated
from rl.solvers.line_search import backtracking
from rl.state import Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class PreQNConfig(ReplayConfig):
    """Settings of PreQN."""

    algorithm: ClassVar[str] = "PreQN"

    update_interval: int = setting(50, "environment steps between updates", 1)
    updates: int = setting(50, "gradient steps of an update", 1, 10_000)
    lr: Rate = rate(1e-3, "Adam's learning rate of the policy", 0, 10)
    critic_step: Rate = rate(0.1, "the critic's step, α", 0, 10)
    exploration: Rate = rate(0.1, "σ of the noise on actions while exploring; actions live in [−1, 1]", 0)
    alignment: float = setting(0.97, "cosine that an accepted step must reach, η", -1, 1)
    shrink: float = setting(0.5, "factor of a step that was not accepted, β", 1e-3, 0.999)
    tries: int = setting(10, "steps that are tried", 1, 100)
    solver: str = setting("ridge", "how K Z = Δ is solved, see rl/solvers/least_squares.py", choices=("ridge", "truncated"))
    tolerance: float = setting(
        1e-6, "ridge in units of the mean diagonal, or smallest eigenvalue in units of the largest", 1e-12, 0.5
    )
    hidden: tuple[int, ...] = setting((256, 256), "widths of both networks' hidden layers")
    activation: str = setting("sine", "between the layers", choices=tuple(ACTIVATIONS))
    initialization: str = setting("glorot", "of the weights", choices=("glorot", "orthogonal"))


class PreQN(Agent):
    """A PreQN agent for continuous, bounded actions: `PreQN(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for what μ(s) is the tanh of: observations (B, …) -> (B, A).
    critic : callable, optional
        A function of a random generator that makes one for Q(s, a): [observations, actions] side by
        side (B, O + A) -> (B, 1). See rl/networks/own.py; of layers that `deepnp.tangents` knows.
    """

    Config = PreQNConfig
    takes = Takes(bounded=True, images=False, goals=True, on_policy=False)
    iterate = off_policy.iterate
    own_networks = ("policy", "critic")

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: PreQNConfig | None = None,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        policy: Module | None = None,
        critic: Callable[[np.random.Generator], Module] | None = None,
    ):
        super().__init__(env, config, seed, env_settings=env_settings, networks={"policy": policy, "critic": critic})

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "environment")
        rng, activation = self.rngs["weights"], ACTIVATIONS[c.activation]
        own, make = given_networks(self.networks, space.observation, policy=space.actions), self.networks.get("critic")
        self.policy = deterministic_policy(space, c.hidden, activation, rng, own.get("policy"), 1.0)
        if make is None:
            critic = network(space.observation, c.hidden, 1, activation, rng, beside=space.actions)
        else:
            (critic,) = own_critics(make, 1, space.observation, space.actions, rng)
            check_apart({"policy": self.policy, "critic": critic})
            row = critic.forward(np.zeros((2, space.observations + space.actions), np.float32))
            pairs(critic, row)  # refuses layers whose gradients it does not know, before any step is taken
        if c.initialization == "glorot":
            for body in [self.policy] * ("policy" not in own) + [critic] * (make is None):
                glorot(body, rng)
        self.policy_optimizer = Adam(self.policy.flat, c.lr)
        self.critics = Critics([critic], c.critic_step, optimizer="sgd", targets=False)
        self.halves = Halves(self.policy, critics=self.critics)
        self.memory = make_memory(space, c)

    def parts(self) -> dict[str, Part]:
        policy: dict[str, Part] = {"policy": self.policy, "policy_optimizer": self.policy_optimizer}
        return {**policy, "critics": self.critics, "memory": self.memory}

    def act(self, observations, rng) -> np.ndarray:
        actions = self.policy.predict(observations)
        return actions if rng is None else gaussian(actions, self.now.exploration, rng)

    explore = act

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One step of the critic and one of the policy. Returns metrics, and |Δ| of each row (B,)."""
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        self.policy_optimizer.lr = c.lr
        y = batch.rewards + batch.discounts * self.critics.target(s_next, self.policy.predict(s_next))
        metrics, errors = self.fit_critic(trees.with_actions(s, batch.actions), y, batch.weights, c)
        q = float(self.halves.step(value_gradient, self.policy_optimizer, s).mean())
        return {**metrics, "policy_loss": -q, "q": q}, np.abs(errors)

    def fit_critic(self, x, y, weights, c) -> tuple[dict[str, float], np.ndarray]:
        """Move the values Q(x) (B,) towards y, in the critic's kernel. Returns metrics, and Δ (B,)."""
        (critic,) = self.critics.networks
        q = critic.forward(x)[:, 0]
        errors = y - q
        check_finite("critic loss", float(errors @ errors) / len(errors))
        rows = pairs(critic, np.ones_like(q)[:, None])
        solved = self.solve(tangent_kernel(rows), errors, weights, c)
        theta, alignment = self.critics.optimizers[0].vector.data, 0.0
        start = theta.copy()
        step = q.dtype.type(c.critic_step) * weighted_gradient(rows, solved.z.astype(q.dtype))

        def accepts(share: float) -> bool:
            nonlocal alignment
            theta[...] = start + share * step
            alignment = cosine(critic.predict(x)[:, 0].astype(np.float64) - q, errors)
            return alignment >= c.alignment

        share = backtracking(accepts, c.shrink, c.tries) if solved.reached >= c.alignment else None
        if share is None:
            theta[...] = start
        elif self.critics.watched:
            self.critics.alignment = alignment
        metrics = {"td_error": float(np.abs(errors).mean()), "accepted": float(share is not None), "reached": solved.reached}
        return metrics | {"rank": float(solved.rank)} | ({} if share is None else {"alignment": alignment, "step": share}), errors

    def solve(self, kernel, errors, weights, c) -> Solved:
        """Z of K Z = Δ, weighted."""
        solver, errors = ridge if c.solver == "ridge" else truncated, errors.astype(np.float64)
        if (weights == 1).all():
            return solver(kernel, errors, c.tolerance)
        root = np.sqrt(weights, dtype=np.float64)
        solved = solver(root * kernel * root[:, None], root * errors, c.tolerance)
        z = root * solved.z
        return Solved(z, cosine(kernel @ z, errors), solved.rank)
