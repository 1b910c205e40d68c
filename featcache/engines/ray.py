"""Ray started on this machine, or found at an address."""

from __future__ import annotations

import socket
from typing import Any

import ray

from featcache.errors import ConfigError

WAIT = 10.0  # seconds


def resources(jobs: int, address: str | None) -> dict[str, float]:
    """What the cluster at `address` has: cores as `CPU`, cards as `GPU`.

    Without an address Ray starts on this machine with `jobs` cores (0: all), unless it runs in this
    process already. Raises `ConfigError` where nothing answers at the address.
    """
    if not ray.is_initialized():
        options: dict[str, Any] = {"address": address}
        if address is None:
            options |= {"num_cpus": jobs or None, "include_dashboard": False}
        try:
            _knock(address or "")
            ray.init(**options, log_to_driver=False, logging_level="ERROR")
        except OSError as error:
            if address is None:
                raise
            raise ConfigError(
                f"no Ray answers at {address} ({str(error).splitlines()[0]}); see `ray status` "
                "there, or leave out --address for a Ray of your own on this machine."
            ) from None
    return dict(ray.cluster_resources())


def _knock(address: str) -> None:
    """Have an address of a host and a port refuse at once, where Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "://" not in host:
        socket.create_connection((host, int(port)), WAIT).close()
