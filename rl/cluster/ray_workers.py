"""Shards as Ray actors, on this machine or a cluster."""

import importlib.util
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from rl.cluster.shard import Shard

DEATHS = 3  # of one shard within one call, before we give up


def need_ray() -> Any:
    """Ray, started if nobody did: on this machine, or on the cluster that RAY_ADDRESS names.

    Raises
    ------
    ImportError
        If Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise ImportError('expected Ray for work on a cluster: pip install "deepnp-rl[cluster]"')
    import ray

    if not ray.is_initialized():
        ours = signal.getsignal(signal.SIGTERM)
        ray.init(log_to_driver=False, include_dashboard=False)
        with suppress(ValueError):  # not in the main thread: then Ray left it alone
            signal.signal(signal.SIGTERM, ours)  # Ray would exit where a run is to be saved first
    return ray


class RayWorkers:
    """Shards in processes of their own, wherever Ray finds a free core.

    A worker that dies (its machine, its process, its memory) is replaced. The new one goes on from
    where the lost one stood after its last rollout, where the environment can tell that, and
    otherwise begins new episodes. What a lost worker did since is done again, and counted once.

    Parameters
    ----------
    cores : float
        That each shard takes.
    """

    def __init__(self, cores: float = 1.0):
        self.cores = cores
        self.makers: Sequence[Callable[[], Shard]] = ()
        self.actors: list[Any] = []

    def open(self, makers: Sequence[Callable[[], Shard]]) -> None:
        self.makers, self.ray = makers, need_ray()
        self.actors = [self._actor(k) for k in range(len(makers))]

    def _actor(self, k):
        return self.ray.remote(num_cpus=self.cores)(Remote).remote(self.makers[k])

    def call(self, method: str, arguments: Sequence[tuple], revive: Callable[[int], list[tuple]]) -> list:
        pending = [actor.call.remote(method, *given) for actor, given in zip(self.actors, arguments, strict=True)]
        return [self._result(k, answer, (method, *arguments[k]), revive) for k, answer in enumerate(pending)]

    def _result(self, k, answer, call, revive):
        for _ in range(DEATHS):
            try:
                return self.ray.get(answer)
            except self.ray.exceptions.RayActorError:
                self.actors[k] = self._actor(k)
                for earlier in revive(k):
                    self.actors[k].call.remote(*earlier)  # an actor takes its calls in their order
                answer = self.actors[k].call.remote(*call)
        return self.ray.get(answer)

    def close(self) -> None:
        for actor in self.actors:
            self.ray.kill(actor)
        self.actors = []


class Remote:
    """A shard in a worker's process."""

    def __init__(self, make: Callable[[], Shard]):
        from deepnp import set_num_threads

        set_num_threads(1)
        self.shard = make()

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the shard."""
        return getattr(self.shard, method)(*arguments)
