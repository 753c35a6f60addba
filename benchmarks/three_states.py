"""A Markov decision process of three states and two actions whose value and policy gradient are known exactly.

    J(θ) = E Σ_{t<H} γ^t r_t,    π(a|s) = softmax(θ_s)_a

With H steps in every episode, everything is a finite sum. Episodes begin in state 0. Shapes: T = H steps, N episodes.
"""

from dataclasses import dataclass

import numpy as np

STATES, ACTIONS, GAMMA, HORIZON = 3, 2, 0.9, 12
_RNG = np.random.default_rng(2)
TRANSITIONS = _RNG.dirichlet(np.ones(STATES), (STATES, ACTIONS))  # p(s′|s, a)
REWARDS = _RNG.normal(size=(STATES, ACTIONS))


@dataclass(frozen=True)
class Episodes:
    """What was seen: all arrays are (T, N)."""

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray

    @property
    def ended(self) -> np.ndarray:
        """The last step of each."""
        ended = np.zeros(self.states.shape, bool)
        ended[-1] = True
        return ended


def policy(theta: np.ndarray) -> np.ndarray:
    """π(a|s) of θ: (S, A) -> (S, A)."""
    weights = np.exp(theta - theta.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def action_values(theta: np.ndarray) -> np.ndarray:
    """Q_t(s, a) with H − t steps to go: (H, S, A)."""
    pi, q, v = policy(theta), np.zeros((HORIZON, STATES, ACTIONS)), np.zeros(STATES)
    for t in range(HORIZON - 1, -1, -1):
        q[t] = REWARDS + GAMMA * TRANSITIONS @ v
        v = (pi * q[t]).sum(axis=1)
    return q


def occupancy(theta: np.ndarray) -> np.ndarray:
    """P(s_t = s): (H, S)."""
    pi, p = policy(theta), np.zeros((HORIZON, STATES))
    p[0, 0] = 1
    for t in range(1, HORIZON):
        p[t] = np.einsum("s,sa,saz->z", p[t - 1], pi, TRANSITIONS)
    return p


def value(theta: np.ndarray) -> float:
    """J(θ)."""
    return float((policy(theta)[0] * action_values(theta)[0, 0]).sum())


def scores(theta: np.ndarray) -> np.ndarray:
    """∇_θ ln π(a|s) for each s and a: (S, A, S, A)."""
    pi, out = policy(theta), np.zeros((STATES, ACTIONS, STATES, ACTIONS))
    for s, a in np.ndindex(STATES, ACTIONS):
        out[s, a, s] = np.eye(ACTIONS)[a] - pi[s]
    return out


def gradient(theta: np.ndarray) -> np.ndarray:
    """∇J = Σ_t γ^t Σ_s P(s_t = s) Σ_a π(a|s) ∇ ln π(a|s) Q_t(s, a): (S, A).

    Over endless episodes Σ_t γ^t P(s_t = s) = d_γ(s)/(1 − γ), which is where that factor comes from.
    """
    weights = GAMMA ** np.arange(HORIZON)[:, None] * occupancy(theta)
    return np.einsum("ts,sa,saij,tsa->ij", weights, policy(theta), scores(theta), action_values(theta))


def play(theta: np.ndarray, episodes: int, rng: np.random.Generator) -> Episodes:
    """So many episodes under π_θ."""
    pi, s = policy(theta), np.zeros(episodes, int)
    states, actions = np.empty((2, HORIZON, episodes), int)
    for t in range(HORIZON):
        a = (rng.random(episodes)[:, None] > pi[s].cumsum(axis=1)).sum(axis=1).clip(max=ACTIONS - 1)
        states[t], actions[t] = s, a
        s = (rng.random(episodes)[:, None] > TRANSITIONS[s, a].cumsum(axis=1)).sum(axis=1).clip(max=STATES - 1)
    return Episodes(states, actions, REWARDS[states, actions])


def estimates(theta: np.ndarray, played: Episodes, psi: np.ndarray) -> np.ndarray:
    """Σ_t ψ_t ∇ ln π(a_t|s_t) of each episode: ψ (T, N) -> (N, S, A)."""
    return np.einsum("tn,tnij->nij", psi, scores(theta)[played.states, played.actions])
