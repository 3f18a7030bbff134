"""Ray: started on this machine for as long as the work takes, or the cluster at an address."""

import importlib
import logging
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import Any

from speechduet.attempt import Attempt
from speechduet.errors import SettingError
from speechduet.extras import missing

LEAST_VERSION = (2, 60)
"""Earlier ones were not tried, and may let anybody in who reaches the port of a Ray of our own."""

_CONNECT_S = 10.0
_STORE_BYTES = 128 << 20
"""Of the object store of a Ray of our own: it holds paths and rows of the ledger, never audio."""

_LOCAL = {
    # Nothing is asked of, or told to, other hosts; and no page is served.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    # Ray's workers would give way to everything else on the machine, `enhance` does not.
    "RAY_worker_niceness": "0",
    # A busy machine takes longer than Ray waits for its own processes: 20 s for its server, 30 s
    # for what starts workers, as long for the agent of that, and 60 s for a worker.
    "RAY_NUM_REDIS_GET_RETRIES": "60",
    "RAY_raylet_start_wait_time_s": "60",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_worker_register_timeout_seconds": "300",
    # Its metrics have no reader here.
    "RAY_enable_metrics_collection": "0",
}


def import_ray() -> Any:
    """The module. Raises SettingError if it is not installed, or too old."""
    os.environ.update({name: os.environ.get(name, value) for name, value in _LOCAL.items()})
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ImportError as error:
        raise missing(error, "ray", "ray") from error
    version = tuple(int(part) for part in ray.__version__.split(".")[:2])
    if version < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise SettingError(
            f"Ray is {ray.__version__}", f"{least} or later", "pip install -U 'speechduet[ray]'"
        )
    return ray


@contextmanager
def cluster(address: str | None, cores: int) -> Iterator[Any]:
    """Ray, connected to the cluster at an address; without one a Ray of our own with these cores.

    In a process that is connected already it is that Ray, which goes on afterwards.

    Raises SettingError if there is none at the address, or one of another version.
    """
    ray = import_ray()
    if ray.is_initialized():
        _quiet(ray)
        yield ray
        return
    usual = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    _quiet(ray)
    if address is not None:
        _check_address(address)
    else:
        # Ray lets nobody in without a token. This one is of this run; else Ray would take, or
        # make, the one in the home folder.
        os.environ.setdefault("RAY_AUTH_TOKEN", token_hex(32))
    local: dict[str, Any] = {"num_cpus": cores, "include_dashboard": False}
    local |= {"object_store_memory": _STORE_BYTES, "_node_ip_address": "127.0.0.1"}
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    for again in (True, False):
        with Attempt("Ray") as attempt, _silenced():
            known = ray.init(address=address or "local", **quiet, **({} if address else local))
        # Ray 2.60 ends itself if its agent has not started after 15 s, whatever it is told.
        slow = address is None and "timed out" in attempt.failure
        if not (slow and again):
            break
        ray.shutdown()
    if attempt.failure and address is None:
        raise SettingError(
            f"cannot start Ray on this machine: {attempt.failure}"[:1000],
            "a machine on which less else runs" if slow else "",
            "speechduet enhance --workers N enhances on one machine without Ray",
        )
    if attempt.failure:
        raise SettingError(
            f"cannot use Ray at {address}: {attempt.failure}"[:1000],
            "the address of a running cluster of the same Ray and Python",
            "if it asks for a token, set RAY_AUTH_MODE=token here too",
        )
    # Ray puts its own in place of those that end a command in order.
    for number, handler in usual.items():
        signal.signal(number, handler)
    try:
        yield ray
    finally:
        ray.shutdown()
        if address is None:
            # Ray would leave its logs and sockets in the folder for temporary files for ever.
            shutil.rmtree(known.address_info["session_dir"], ignore_errors=True)


def _check_address(address: str) -> None:
    """Raise SettingError soon for an address at which nothing answers; Ray would try for long."""
    if address == "auto":
        return
    if "://" in address:
        raise SettingError(
            f"{address} is an address for Ray's client, which Ray Data does not work with",
            "host:port of the head node, or auto",
            "run the command on the cluster, as with ray job submit",
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise SettingError(f"the address {address!r}", "host:port of the head node, or auto")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S):
            pass
    except OSError as error:
        raise SettingError(
            f"no Ray answers at {address}: {error.strerror or error}",
            "the address of a running cluster",
            "ray start --head prints it",
        ) from error


@contextmanager
def _silenced() -> Iterator[None]:
    """Within it nothing is written to stderr, where Ray's native part repeats what it raises."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _quiet(ray: Any) -> None:
    """Progress and failures are told by this command, and not by Ray as well."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    with suppress(AttributeError):
        context.issue_detectors_config.detectors = []
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
