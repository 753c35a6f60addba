"""Polyak averaging of a target network's parameters: θ̄ ← (1 − τ)θ̄ + τθ."""

from deepnp import gpu
from deepnp.backend import kernel_runs, ordered_kernel
from deepnp.checks import check_array


def polyak(target, source, tau: float) -> None:
    """Move `target` (P,) towards `source` (P,) by the share `tau` of the difference, in place.

    tau is always the source's share: 0.005, not 0.995.
    """
    check_array(target, "target", "net.flat.data")
    check_array(source, "source", "net.flat.data")
    if target.shape != source.shape:
        raise ValueError(f"expected vectors of one shape, given {target.shape} and {source.shape}")
    if kernel_runs(target, source):
        _polyak(target, source, target.dtype.type(tau))
    elif gpu.elementwise_runs(target, source):
        gpu.fused(_plain)(target, source, target.dtype.type(tau))
    else:
        _plain(target, source, float(tau))


def _plain(target, source, tau):
    target += tau * (source - target)


@ordered_kernel
def _polyak(target, source, tau):
    for i in range(len(target)):
        target[i] += tau * (source[i] - target[i])
