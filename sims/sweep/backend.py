"""Where a sweep's points run: on this machine, or on the workers of a Dask or Ray cluster. Everywhere a worker gives
each to a process of its own (``processes.children``)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from ..processes.children import CHILDREN, local_calls
from ..suggest import choose

BACKENDS = ("local", "dask", "ray")
EARLIER = {"loky": "local"}  # names of earlier versions
CONNECT_SECONDS = 10
WORKERS_SECONDS = 5.0  # for which the number of a cluster's workers holds


class WorkerDied(RuntimeError):
    """A cluster lost the worker of a call."""


@dataclass(frozen=True)
class Place:
    """``submit(function, *arguments)`` executes a call; ``at_once()``: how many at a time; ``dead``: what a call raises
    whose worker died; ``name``: for messages."""

    name: str
    submit: Callable[..., Future[Any]]
    at_once: Callable[[], int]
    dead: tuple[type[Exception], ...] = ()

    def result(self, future: Future[Any]) -> Any:
        """What the call of a done ``future`` returned. Raises WorkerDied, and RuntimeError for a cluster that is
        gone."""
        try:
            return future.result()
        except self.dead as error:
            raise WorkerDied(f"its {self.name} worker died: {_line(error)}") from error
        except Exception as error:
            why = "its scheduler is gone" if isinstance(error, CancelledError) else _line(error)
            raise RuntimeError(f"the {self.name} back end fails ({why}): the same command goes on") from error


def check_backend(name: str, jobs: int | None, address: str | None) -> str:
    """The name of the back end today. Raises ValueError for one that is unknown, or options that do not suit it."""
    name = EARLIER.get(name, name)
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}; {choose(name, BACKENDS)}")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1; got {jobs}")
    if name == "local" and address is not None:
        raise ValueError("--address is for the dask and ray backends: local runs on this machine")
    return name


@contextmanager
def opened_backend(name: str, jobs: int, address: str | None) -> Iterator[Place]:
    """The back end ``name`` with ``jobs`` workers here, or those of the cluster at ``address``. Where the context is
    left by an exception, what is in work on this machine is killed.

    Raises ValueError where it is not installed or does not answer.
    """
    if name == "local":
        with local_calls(jobs) as pool:
            yield Place(name, pool.submit, lambda: jobs)
    elif name == "dask":
        with _dask(jobs, address) as place:
            yield place
    else:
        with _ray(jobs, address) as place:
            yield place


@contextmanager
def _dask(jobs: int, address: str | None) -> Iterator[Place]:
    try:
        from dask.distributed import Client, KilledWorker, LocalCluster
    except ImportError as error:
        raise ValueError('the dask backend needs Dask: pip install "fiedler[dask]"') from error
    with ExitStack() as held:
        held.enter_context(_quiet("distributed"))
        if address is None:
            # Workers of this process: what may die are theirs.
            cluster = held.enter_context(
                LocalCluster(n_workers=jobs, threads_per_worker=1, processes=False, memory_limit=0,
                             dashboard_address=None, silence_logs=logging.CRITICAL)
            )  # fmt: skip
            client = held.enter_context(Client(cluster))
        else:
            try:
                client = held.enter_context(Client(address, timeout=CONNECT_SECONDS))
            except (OSError, TimeoutError, ValueError) as error:
                raise ValueError(f"no Dask scheduler at {address!r} ({error}): check --address") from error
        try:
            yield Place("dask", client.get_executor(pure=False).submit, _Threads(client), (KilledWorker,))
        except BaseException:
            with CHILDREN.closed():
                held.close()
            raise


class _Threads:
    """How many calls the workers that a Dask client's scheduler has now do at a time."""

    def __init__(self, client: Any) -> None:
        self._client, self._known, self._asked = client, 1, -WORKERS_SECONDS

    def __call__(self) -> int:
        now = time.monotonic()
        if now - self._asked >= WORKERS_SECONDS and self._client.status == "running":
            self._asked = now
            self._known = max(1, sum(self._client.nthreads().values()))
        return self._known


@contextmanager
def _ray(jobs: int, address: str | None) -> Iterator[Place]:
    try:
        import ray
        from ray.exceptions import OutOfMemoryError, WorkerCrashedError
    except ImportError as error:
        raise ValueError('the ray backend needs Ray: pip install "fiedler[ray]"') from error
    options: dict[str, Any] = {"num_cpus": jobs} if address is None else {"address": address}
    try:
        ray.init(logging_level="error", include_dashboard=False if address is None else None, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ValueError(f"Ray does not start ({_line(error)}): check --address") from error
    try:
        call = ray.remote(max_retries=0)(_call)

        def submit(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
            found: Future[Any] = call.remote(function, *arguments).future()
            return found

        def at_once() -> int:
            return max(1, int(ray.cluster_resources().get("CPU", 1)))

        yield Place("ray", submit, at_once, (WorkerCrashedError, OutOfMemoryError))
    finally:
        ray.shutdown()


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """What the libraries log of a cluster that goes is said in one line, by us."""
    names = [one for one in logging.root.manager.loggerDict if one.partition(".")[0] == name]
    before = {one: logging.getLogger(one).level for one in (name, *names)}
    for one in before:
        logging.getLogger(one).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for one, level in before.items():
            logging.getLogger(one).setLevel(level)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
