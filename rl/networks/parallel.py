"""Work on two threads, or on a GPU: the one place of rl that knows of them.

Waking a thread takes about as long as a small network's pass. So a chain of passes, through policy
and critics and back, is split once by rows, instead of at each network. Each half has networks of
its own: twins over the same parameters. The halves are the same whatever the number of threads, so
results are, too.

A GPU has threads of its own, and one queue of work. There a batch stays whole: it is moved to where
the networks are, and what comes of it is moved back.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np

from deepnp import Module
from deepnp.backend import device_of, to_device
from deepnp.optim import Optimizer
from deepnp.threads import side_by_side
from rl.experience import trees
from rl.experience.trees import Observations
from rl.losses.checks import check_finite, check_gradient

ROWS = 64  # of a batch, from which two threads are faster than one


class Readable(Protocol):
    """What a half can have a twin of, over the same parameters."""

    def twin(self) -> Any: ...


class Halves:
    """A batch in two halves, and the networks that each half goes through; on a GPU, one batch in one piece.

    Arrays may be given wherever they are; functions read them where the networks are.

    Parameters
    ----------
    policy : Module
        What `step` trains.
    **readers
        Whatever else a function needs to read: critics, target networks.

    Examples
    --------
    >>> halves = Halves(policy, critics=critics)
    >>> values = halves.map(lambda nets, s: nets.critics.target(s, nets.policy.predict(s)), observations)
    """

    def __init__(self, policy: Module, **readers: Readable):
        self._device = device_of(policy.flat.data)
        policies = (policy, policy.twin()) if self._device == "cpu" else (policy,)
        self._networks = [SimpleNamespace(policy=p, **{name: r.twin() for name, r in readers.items()}) for p in policies]
        for networks in self._networks:
            networks.vector = networks.policy.flat

    def map(self, function: Callable, *rows: Observations) -> Any:
        """function(networks, *rows of a half) for both halves.

        Returns the array (B, …), or the arrays, that it returns, joined: NumPy's.
        """
        rows = tuple(trees.on(x, self._device) for x in rows)
        size, parts = trees.length(rows[0]), len(self._networks)
        halves = [slice(i * size // parts, (i + 1) * size // parts) for i in range(parts)]
        results = side_by_side(
            *(
                lambda nets=nets, half=half: function(nets, *(trees.at(x, half) for x in rows))
                for nets, half in zip(self._networks, halves, strict=True)
            ),
            worthwhile=size >= ROWS,
        )
        if isinstance(results[0], tuple):
            return tuple(map(_joined, zip(*results, strict=True)))
        return _joined(results)

    def step(self, function: Callable, optimizer: Optimizer, *rows: Observations) -> Any:
        """One step of the policy: its gradient is the sum of what `function` adds in both halves.

        Parameters
        ----------
        function : callable
            function(networks, size, *rows of a half) adds the gradient of a mean over all `size`
            rows to `networks.policy`, and returns an array, or arrays, of its rows.
        optimizer : Optimizer
            Of the policy.
        *rows : (B, …)

        Returns
        -------
        What the function returned, for all rows.

        Raises
        ------
        NonFiniteError
            If a returned value or the gradient is NaN or infinite: then the policy stays as it is.
        """
        size = trees.length(rows[0])

        def half(networks, *rows):
            networks.vector.zero_grad()
            return function(networks, size, *rows)

        results, (own, *others) = self.map(half, *rows), (networks.vector for networks in self._networks)
        total = sum(float(x.sum()) for x in (results if isinstance(results, tuple) else (results,)))
        check_finite("policy loss", total / size)
        for other in others:
            own.grad += other.grad
        check_gradient("policy's gradient", own)
        optimizer.step()
        return results


def _joined(parts):
    return np.concatenate([to_device(part, "cpu") for part in parts])


def independently(*functions: Callable[[], Any], rows: np.ndarray | None = None) -> list:
    """Results of functions that share nothing they write to, side by side where that pays.

    Parameters
    ----------
    *functions : callable
    rows : array (B, …), optional
        A batch that each works on, where it is short work or on a GPU.
    """
    return side_by_side(*functions, worthwhile=rows is None or (device_of(rows) == "cpu" and len(rows) >= ROWS))
