"""Where no Ray is."""

from __future__ import annotations

import socket

import pytest

from featcache.errors import ConfigError


def test_an_address_where_nothing_answers_is_refused_at_once() -> None:
    pytest.importorskip("ray")
    from featcache.engines.ray import resources

    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"no Ray answers at {address} .*leave out --address"):
            resources(0, address)
