"""What a conservative critic loses besides its TD error (Kumar et al. 2020, CQL).

Values of actions that are not in the data may be anything, and a maximum over actions finds those
that are too high. So they are pushed down, and the values of the data's actions up. K actions stand
for all of a state's:

    "logsumexp"    L = (α/B) Σ_b [ ln (1/K) Σ_k e^{Q_bk}/p_bk − Q_b ]       an estimate of ln ∫ e^{Q(s, a)} da
                   dQ_bk = (α/B) e^{Q_bk}/p_bk / Σ_j e^{Q_bj}/p_bj          the softmax of Q − ln p
    "mean"         L = (α/B) Σ_b [ (1/K) Σ_k Q_bk − Q_b ]                   of actions drawn from some μ
                   dQ_bk = α/(B K)
    both           dQ_b = −α/B

Shapes: B rows, K actions for each.
"""

import numpy as np

from deepnp.checks import check_shape
from deepnp.losses.checks import check_not_empty
from deepnp.ops.activation import log_softmax

FORMS = ("logsumexp", "mean")


def conservative_loss(
    drawn: np.ndarray, stored: np.ndarray, log_p: np.ndarray, alpha: float, form: str = "logsumexp"
) -> tuple[float, np.ndarray, np.ndarray]:
    """The loss, and its gradients.

    Parameters
    ----------
    drawn : array (B, K)
        Q of the drawn actions.
    stored : array (B,)
        Q of the data's actions.
    log_p : array (B, K)
        ln of the density that each action was drawn from: nothing flows into it; "mean" does not read it.
    alpha : float
        α.
    form : {"logsumexp", "mean"}

    Returns
    -------
    value : float
    ddrawn : array (B, K)
    dstored : array (B,)

    Raises
    ------
    ValueError
        For other shapes, no rows, or another form.
    """
    check_shape("log_p", log_p, drawn.shape)
    check_shape("stored", stored, drawn.shape[:1])
    check_not_empty(drawn)
    if form not in FORMS:
        raise ValueError(f"expected a form among {FORMS}, given {form!r:.80}")
    kind, (rows, count) = drawn.dtype.type, drawn.shape
    share = kind(alpha / rows)
    if form == "mean":
        high, ddrawn = drawn.mean(axis=1), np.full_like(drawn, share / kind(count))
    else:
        z = drawn - log_p.astype(drawn.dtype, copy=False)
        log_weights = log_softmax.forward(z)[0]
        high = z[:, 0] - log_weights[:, 0] - kind(np.log(count))  # ln Σ e^z = z_k − ln softmax(z)_k, whichever k
        ddrawn = share * np.exp(log_weights)
    return float(alpha * (high - stored).mean()), ddrawn, np.full_like(stored, -share)


CASES = {
    conservative_loss: [
        dict(drawn=(5, 4), stored=(5,), log_p=np.linspace(-1.0, 0.5, 20).reshape(5, 4), alpha=0.7),
        dict(drawn=(1, 1), stored=(1,), log_p=np.zeros((1, 1)), alpha=5.0),
        dict(drawn=(3, 4), stored=(3,), log_p=np.zeros((3, 4)), alpha=2.0, form="mean"),
    ]
}
