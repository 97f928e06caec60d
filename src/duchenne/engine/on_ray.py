"""Workers as actors of a Ray cluster: the same pipeline on one machine or on many.

Needs `pip install duchenne[ray]`, here and on the machines of the cluster. Ray places the actors,
restarts those that die and moves those of a lost machine (`max_restarts`). Which item is tried
again, and how often, is decided in `base`, as for local workers; so an item whose machine is gone
does not wait for that machine's successor.
"""

from __future__ import annotations

import importlib.util
import os
from concurrent.futures import Future
from typing import Any

from .. import cores
from ..errors import DuchenneError, InputError
from .base import Build, Reply, Worker, build_safely, limit_threads, work_safely
from .capacity import WORKER_BYTES

AUTO = "auto"


class RaySlots:
    """Actors that hold one worker each.

    address: of a cluster (host:port, ray://host:port); "auto" is the one that runs on this machine,
        or a new one for as long as this run takes.
    count: None is as many as the cluster's cores and memory carry; never more than that.
    threads: cores of each.
    """

    lost: tuple[type[BaseException], ...]

    def __init__(
        self,
        build: Build,
        count: int | None,
        threads: int,
        address: str = AUTO,
        *,
        worker_bytes: int = WORKER_BYTES,
    ) -> None:
        ray = self._ray = _import_ray()
        errors = ray.exceptions
        self.lost = (
            errors.RayActorError,  # died or is being restarted; its machine went with it
            errors.WorkerCrashedError,
            errors.OutOfMemoryError,
            errors.NodeDiedError,
            errors.ObjectLostError,  # the answer was on a machine that is gone
        )
        self._build, self._threads = build, threads
        self._own = not ray.is_initialized()
        if self._own:
            _connect(ray, address)
        try:
            self._options = {
                "num_cpus": threads,
                "memory": worker_bytes,
                "max_restarts": -1,
                "max_task_retries": 0,
            }
            # More actors than there is room for would wait for ever.
            places = self._places(worker_bytes)
            self.count = min(count or places, places)
        except DuchenneError:
            self.close()
            raise
        self._actors: dict[int, Any] = {}

    def start(self, slot: int) -> Future[Reply]:
        if slot not in self._actors:
            # max_concurrency is 1: OpenVINO's and torch's state belongs to one item at a time.
            actor = self._ray.remote(Actor).options(**self._options)
            self._actors[slot] = actor.remote(self._build, self._threads)
        # Waits while the actor is restarted, if need be on another machine.
        ready = self._actors[slot].prepare.options(max_task_retries=-1).remote()
        future: Future[Reply] = ready.future()
        return future

    def submit(self, slot: int, payload: Any) -> Future[Reply]:
        future: Future[Reply] = self._actors[slot].work.remote(payload).future()
        return future

    def close(self) -> None:
        for actor in getattr(self, "_actors", {}).values():
            self._ray.kill(actor, no_restart=True)
        self._actors = {}
        if self._own:
            self._ray.shutdown()

    def _places(self, worker_bytes: int) -> int:
        """How many actors fit, machine by machine."""
        places = 0
        for node in self._ray.nodes():
            if node["Alive"]:
                has = node["Resources"]
                by_memory = int(has.get("memory", 0) / worker_bytes)
                places += min(int(has.get("CPU", 0) / self._threads), by_memory)
        if not places:
            raise InputError(
                f"the Ray cluster has no place for a worker of {self._threads} cores and "
                f"{worker_bytes / 1e9:.1f} GB; start Ray on larger machines"
            )
        return places


class Actor:
    """One worker in a process of the cluster."""

    def __init__(self, build: Build, threads: int) -> None:
        self._build, self._threads = build, threads
        self._worker: Worker | None = None

    def prepare(self) -> Reply:
        """Make the worker; its own call, since an actor whose constructor fails says little."""
        limit_threads(self._threads)
        self._worker, reply = build_safely(self._build, self._threads)
        return reply

    def work(self, payload: Any) -> Reply:
        assert self._worker is not None, "an actor is prepared before it gets items"
        return work_safely(self._worker, payload)


def _import_ray() -> Any:
    if importlib.util.find_spec("ray") is None:
        raise InputError("--ray needs Ray; install it with pip install 'duchenne[ray]'")
    # Ray reports usage to its makers by default. Photos of faces are worked on here.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    return ray


def _connect(ray: Any, address: str) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    # When a machine is lost, Ray goes on about it on stdout, where `--json -` belongs, and has no
    # option against that. `base` says in one line what died.
    ray._private.worker._worker_logs_enabled = False
    try:
        if address == AUTO:
            try:
                ray.init(address=AUTO, **options)
            except ConnectionError:  # nothing runs here; Ray by itself would take every core
                own = {"num_cpus": cores.usable(), "include_dashboard": False}
                ray.init(address="local", **own, **options)
        else:
            ray.init(address=address, **options)
    except Exception as error:  # Ray raises a plain Exception where its own processes do not start
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"--ray {address}: no Ray cluster answers there ({reason}); start one with "
            "ray start --head"
        ) from error
