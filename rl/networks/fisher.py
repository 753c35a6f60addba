"""The Fisher information of a policy, as a product with a vector.

    F = (1/B) Σ_b E_{a~π(·|s_b)}[∇θ ln π ∇θ ln πᵀ]

The policy's outputs y(s), such as μ and σ, are all that θ acts through. So ∇θ ln π = Jᵀ ∇y ln π with J = ∂y/∂θ, which does not
depend on a, and the expectation falls on the outputs alone:

    F = (1/B) Σ_b J_bᵀ M_b J_b        M = E_a[∇y ln π ∇y ln πᵀ]
    F v: u = J v, the tangent of the outputs (`Module.jvp`); w = M u/B; then Jᵀ w (`backward`)

Both passes read what one `forward` kept. No derivative of a derivative is needed, and nothing is drawn: M is exact. F is also the
second derivative of KL(π_old‖π) at π = π_old:  KL(π_θ‖π_{θ+Δ}) = ½ΔᵀFΔ + O(‖Δ‖³).

The outputs' information, for each distribution:

    N(μ, σ²)      ∂ln π/∂μ = z/σ, ∂ln π/∂σ = (z² − 1)/σ with z = (a − μ)/σ ~ N(0, 1): E z² = 1, E z³ = 0, E z⁴ = 3
                  M = 1/σ² for μ, (3 − 2 + 1)/σ² = 2/σ² for σ, which is 2 for ln σ; nothing between the two
    softmax(z)    ∂ln p(a)/∂z = e_a − p        M = E[e_a e_aᵀ] − ppᵀ = diag(p) − ppᵀ, which is ∂p/∂z
    branches      independent, so M has one such block for each
    switches      ∂ln p(a)/∂z = a − p          M = Var a = p(1 − p), which is ∂p/∂z
    Beta(α, β)    ∂ln π/∂α = ln x − ψ(α) + ψ(s), s = α + β        M = the covariance of (ln x, ln(1 − x)): ψ′ of α and β on the
                  diagonal, less ψ′(s) everywhere                 as ln B is their cumulant generating function
    k of n        that of the first draw, as its KL is
    Dict, Tuple   independent parts again

Shapes: B rows, A action dimensions, C choices, P parameters.
"""

from functools import singledispatch
from itertools import islice

import numpy as np

from deepnp.ops.activation import sigmoid, softmax
from rl.networks.beta import Beta
from rl.networks.branches import Bernoulli, MultiCategorical
from rl.networks.distributions import Categorical, DiagonalGaussian
from rl.networks.gamma import trigamma
from rl.networks.joint import Joint
from rl.networks.policies import Policy
from rl.networks.subset import Subset


@singledispatch
def information(distribution, tangents: tuple) -> tuple:
    """M u, row by row: tangents u of the distribution's parameters -> as many arrays of the same shapes.

    Where a parameter is one for all rows, such as σ (A,), the result is the sum over rows, as its gradients are.
    `information.register` teaches it another distribution.
    """
    raise TypeError(f"expected a distribution whose Fisher information is known, given {type(distribution).__name__}")


@information.register
def _(distribution: DiagonalGaussian, tangents: tuple) -> tuple[np.ndarray, np.ndarray]:
    vmean, vsigma = tangents
    precision = distribution.sigma**-2
    rows = len(vmean) if vsigma.ndim == 1 else 1  # of which each has its share in a σ for all
    return precision * vmean, (2 * rows) * precision * vsigma


@information.register
def _(distribution: Categorical, tangents: tuple) -> tuple[np.ndarray]:
    return (softmax.jvp(tangents[0], softmax.forward(distribution.logits)[1]),)


@information.register
def _(distribution: MultiCategorical, tangents: tuple) -> tuple[np.ndarray]:
    pieces = np.split(tangents[0], np.cumsum(distribution.choices)[:-1], axis=-1)
    parts = [information(branch, (u,))[0] for branch, u in zip(distribution.branches, pieces, strict=True)]
    return (np.concatenate(parts, axis=-1),)


@information.register
def _(distribution: Bernoulli, tangents: tuple) -> tuple[np.ndarray]:
    return (sigmoid.jvp(tangents[0], sigmoid.forward(distribution.logits)[1]),)


@information.register
def _(distribution: Beta, tangents: tuple) -> tuple[np.ndarray, np.ndarray]:
    valpha, vbeta = tangents
    common = trigamma(distribution.alpha + distribution.beta) * (valpha + vbeta)
    return trigamma(distribution.alpha) * valpha - common, trigamma(distribution.beta) * vbeta - common


@information.register
def _(distribution: Subset, tangents: tuple) -> tuple[np.ndarray]:
    return information(distribution.first, tangents)


@information.register
def _(distribution: Joint, tangents: tuple) -> tuple[np.ndarray, ...]:
    left, found = iter(tangents), []
    for part in distribution.parts:
        count = 2 if isinstance(part, DiagonalGaussian | Beta) else 1  # parameters
        found += information(part, tuple(islice(left, count)))
    return tuple(found)


class Fisher:
    """v ↦ F v + c v, of a policy's last `forward`.

    Parameters
    ----------
    policy : Policy
    distribution : Distribution
        What that `forward` returned, of at least one row.
    damping : float
        c. It keeps the product positive definite where the rows are too few to tell all directions apart.
    """

    def __init__(self, policy: Policy, distribution, damping: float):
        self.policy, self.distribution, self.damping = policy, distribution, damping

    def __call__(self, v: np.ndarray) -> np.ndarray:
        """v (P,) -> F v + c v (P,), in v's own type. The policy's gradient is overwritten."""
        vector = self.policy.flat
        tangents = self.policy.jvp(v.astype(vector.data.dtype, copy=False))
        rows = len(tangents[0])
        vector.zero_grad()
        self.policy.backward(tuple(u / rows for u in information(self.distribution, tangents)), inputs=False)
        return vector.grad.astype(v.dtype) + self.damping * v
