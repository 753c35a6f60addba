"""Going off-policy: what does it cost?        python -m benchmarks.importance [--draw docs/images/importance]

Estimates ∇J of π_θ from episodes of another policy π_θ′, on the process of three_states.py, whose gradient is known. For growing
distances ‖θ − θ′‖, with weights per step, per decision and per trajectory, and truncated at 2, it prints

    variance      of the estimate of one episode, as a multiple of the on-policy one
    bias          of the mean of all, as a share of ‖∇J‖
    ESS           the effective sample size, as a share of the rows

ψ is the true advantage of π_θ, so that the weights alone make the difference.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks import three_states as mdp
from rl.losses.importance import effective_sample_size, log_weights, weights_of
from rl.training.curves import COLOURS, TEXT_SIZE, TITLE_SIZE, save_figure, subplots

DISTANCES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5)
EPISODES, DIRECTIONS, UNBOUNDED = 20_000, 5, 1e9
FORMS = {  # kind of weight, truncation
    "per step": ("step", UNBOUNDED),
    "per decision": ("decision", UNBOUNDED),
    "per trajectory": ("trajectory", UNBOUNDED),
    "per decision, at most 2": ("decision", 2.0),
}


def advantages(theta: np.ndarray, played: mdp.Episodes) -> np.ndarray:
    """γ^t A_t(s_t, a_t) of π_θ: (T, N)."""
    q = mdp.action_values(theta)
    a = q - (mdp.policy(theta) * q).sum(axis=2, keepdims=True)
    t = np.arange(mdp.HORIZON)[:, None]
    return mdp.GAMMA**t * a[t, played.states, played.actions]


def measure(distance: float, direction: int) -> dict[str, np.ndarray]:
    """Variance, bias and ESS of each form, at a distance along a random direction."""
    rng = np.random.default_rng((7, direction))
    theta, way = rng.normal(size=(2, mdp.STATES, mdp.ACTIONS))
    way -= way.mean(axis=1, keepdims=True)  # a common shift of a state's logits is no change
    other = theta + distance * way / np.linalg.norm(way)
    played, exact = mdp.play(other, EPISODES, rng), mdp.gradient(theta)
    psi = advantages(theta, played)
    log_ratios = np.log(mdp.policy(theta) / mdp.policy(other))[played.states, played.actions]
    own = mdp.play(theta, EPISODES, rng)
    on_policy = mdp.estimates(theta, own, advantages(theta, own)).var(axis=0).sum()
    results = {}
    for name, (kind, limit) in FORMS.items():
        log_w = log_weights(kind, log_ratios, played.ended)
        estimates = mdp.estimates(theta, played, weights_of(log_w, limit, False) * psi)
        bias = np.linalg.norm(estimates.mean(axis=0) - exact) / np.linalg.norm(exact)
        ess = effective_sample_size(np.minimum(log_w, np.log(limit)).ravel()) / log_w.size
        results[name] = np.array([estimates.var(axis=0).sum() / on_policy, bias, ess])
    return results


def table() -> dict[str, np.ndarray]:
    """Each form's variance, bias and ESS by distance, the medians over directions: name -> (D, 3)."""
    runs = [[measure(distance, direction) for direction in range(DIRECTIONS)] for distance in DISTANCES]
    return {name: np.array([np.median([run[name] for run in at], axis=0) for at in runs]) for name in FORMS}


def draw(picture: Path, measured: dict[str, np.ndarray]) -> None:
    """The table as three panels, in an SVG and a PNG."""
    figure, axes = subplots(3, height=3.2)
    for axis, column, title in zip(axes, range(3), ("variance / that on-policy", "bias / |∇J|", "ESS / rows"), strict=True):
        for (name, values), colour in zip(measured.items(), COLOURS, strict=True):
            axis.plot(DISTANCES, values[:, column], color=colour, label=name, marker="o", markersize=3)
        axis.set_title(title, fontsize=TITLE_SIZE)
        axis.set_xlabel("|θ − θ′|")
    axes[0].set_yscale("log")
    axes[0].legend(fontsize=TEXT_SIZE, frameon=False)
    save_figure(figure, picture, ("svg", "png"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draw", type=Path, metavar="PATH", help="a picture, as SVG and PNG")
    options = parser.parse_args()
    measured = table()
    for column, what in enumerate(("variance", "bias", "ESS")):
        print(f"{what:24}" + "".join(f"{distance:9.2f}" for distance in DISTANCES))
        for name, values in measured.items():
            print(f"{name:24}" + "".join(f"{value:9.3g}" for value in values[:, column]))
    if options.draw:
        draw(options.draw, measured)


if __name__ == "__main__":
    main()
