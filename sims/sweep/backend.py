"""Where a sweep's points run: joblib's own back ends, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

BACKENDS = ("loky", "dask", "ray")


@contextmanager
def parallel_backend(name: str, jobs: int, address: str | None) -> Iterator[None]:
    """joblib's back end ``name`` with ``jobs`` processes of one thread each, for the time of the context.

    "dask": the scheduler at ``address``, or a local cluster; "ray" likewise. Raises ValueError where it is not
    installed or does not answer.
    """
    from joblib import parallel_config

    with ExitStack() as held:
        if name == "loky":
            if address is not None:
                raise ValueError("--address is for the dask and ray backends: loky runs on this machine")
            held.enter_context(parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1))
        elif name == "dask":
            held.enter_context(_dask(jobs, address))
        else:
            held.enter_context(_ray(jobs, address))
        yield


@contextmanager
def _dask(jobs: int, address: str | None) -> Iterator[None]:
    from joblib import parallel_config

    try:
        from dask.distributed import Client, LocalCluster
    except ImportError as error:
        raise ValueError('the dask backend needs Dask: pip install "fiedler[dask]"') from error
    with ExitStack() as held:
        if address is None:
            cluster = held.enter_context(
                LocalCluster(n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address=None)
            )
            client = held.enter_context(Client(cluster))
        else:
            try:
                client = held.enter_context(Client(address, timeout=10))
            except (OSError, TimeoutError, ValueError) as error:
                raise ValueError(f"no Dask scheduler at {address!r} ({error}): check --address") from error
        workers = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
        held.enter_context(parallel_config("dask", n_jobs=jobs if address is None else workers))
        yield


@contextmanager
def _ray(jobs: int, address: str | None) -> Iterator[None]:
    from joblib import parallel_config

    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise ValueError('the ray backend needs Ray: pip install "fiedler[ray]"') from error
    options: dict[str, Any] = {"num_cpus": jobs} if address is None else {"address": address}
    try:
        ray.init(logging_level="error", include_dashboard=False if address is None else None, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ValueError(f"Ray does not start ({' '.join(str(error).split())[:200]}): check --address") from error
    try:
        register_ray()
        with parallel_config("ray", n_jobs=jobs if address is None else -1):
            yield
    finally:
        ray.shutdown()
