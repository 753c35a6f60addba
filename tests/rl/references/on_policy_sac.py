"""One update of OnPolicySAC (Algorithm 7 of the notes): SAC's, on the steps of a rollout, several times."""

import numpy as np

from tests.rl.references.off_policy import SAC, Data
from tests.rl.references.ppo import Trajectories


class OnPolicySAC(SAC):
    """One critic, which is its own target."""

    def update_from(self, data: Trajectories, gamma: float, noises) -> None:
        """`noises` holds those of s′ and s of each pass over the steps that happened."""
        rows = [place for place in np.ndindex(data.rewards.shape) if data.valid[place]]
        following = np.array([data.following(*place) for place in rows])
        discounts = np.array([0.0 if data.terminated[place] else gamma for place in rows])
        columns = (np.array([column[place] for place in rows]) for column in (data.observations, data.actions, data.rewards))
        steps = Data(*columns, following, discounts, np.ones(len(rows)))
        for noise_next, noise in zip(noises[::2], noises[1::2], strict=True):
            self.update(steps, noise_next, noise)
