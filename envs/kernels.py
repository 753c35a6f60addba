"""How the environments' Numba kernels are compiled, and the random numbers that they draw inside."""

from functools import partial

import numpy as np

from jit import Kernel

ROUNDING = {"contract", "reassoc", "arcp", "nsz", "afn"}  # sums may be reordered; NaN and ∞ keep their meaning

kernel = partial(Kernel, fastmath=ROUNDING)

STRIDE, MIX_1, MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31, S40 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(40)
UNIT = np.float32(2.0**-24)


@kernel
def uniform(rng_state, i) -> np.floating:
    """A number in [0, 1) from copy i's own stream: SplitMix64 (Steele et al. 2014), whose state is the single word rng_state[i]."""
    rng_state[i] += STRIDE
    z = rng_state[i]
    z = (z ^ (z >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    return np.float32((z ^ (z >> S31)) >> S40) * UNIT


@kernel
def normal(rng_state, i) -> np.floating:
    """A number from N(0, 1) from copy i's own stream, by Box and Muller (1958): √(−2 ln(1 − u))·cos 2πv."""
    radius = np.sqrt(np.float32(-2) * np.log(np.float32(1) - uniform(rng_state, i)))
    return radius * np.cos(np.float32(2 * np.pi) * uniform(rng_state, i))


def seeds(rngs: list[np.random.Generator]) -> np.ndarray:
    """A first word for each stream, drawn from as many generators: (len,) uint64."""
    return np.array([rng.integers(2**64, dtype=np.uint64) for rng in rngs], np.uint64)
