"""Methods that are here by name only: a reason, a protocol for each number, a clear refusal."""

from __future__ import annotations

import pytest

from adapters import compose, registry, unavailable
from adapters.experiment import Experiment
from adapters.fitting import run
from featcache.errors import MethodError


def test_none_of_them_is_also_here() -> None:
    assert not set(unavailable.METHODS) & set(registry.names())


@pytest.mark.parametrize("name", unavailable.METHODS)
def test_each_has_a_reason_and_a_protocol_for_every_number(name: str) -> None:
    method = unavailable.METHODS[name]
    assert method.title
    assert method.reason
    assert all(number.value and number.protocol for number in method.numbers)
    assert all(number.protocol in unavailable.numbers(method) for number in method.numbers)


@pytest.mark.parametrize("name", ["coop", "maple", "mf-adapter"])
def test_asking_for_one_is_refused_with_its_reason(name: str) -> None:
    reason = unavailable.METHODS[name].reason
    for ask in (compose.get, registry.summary):
        with pytest.raises(MethodError, match=reason):
            ask(name)
    with pytest.raises(MethodError, match=reason):
        run(None, Experiment(method=name))  # type: ignore[arg-type]
