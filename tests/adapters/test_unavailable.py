"""Methods that are here by name only: a reason, a protocol for each number, a clear refusal."""

from __future__ import annotations

import pytest

from adapters import compose, registry, unavailable
from adapters.experiment import Experiment
from adapters.fitting import run
from featcache.errors import MethodError
from tests import frozen


def test_none_of_them_is_also_here() -> None:
    assert not set(unavailable.METHODS) & set(registry.names())


@pytest.mark.parametrize("name", unavailable.METHODS)
def test_each_has_a_reason_and_a_protocol_for_every_number(name: str) -> None:
    method = unavailable.METHODS[name]
    assert method.title
    assert method.reason
    assert all(number.value and number.protocol for number in method.numbers)
    assert all(number.protocol in unavailable.numbers(method) for number in method.numbers)


@pytest.mark.parametrize("name", ["apollo", "maple", "mf-adapter"])
def test_asking_for_one_is_refused_with_its_reason(name: str) -> None:
    reason = unavailable.METHODS[name].reason
    for ask in (compose.get, registry.summary):
        with pytest.raises(MethodError, match=reason):
            ask(name)
    with pytest.raises(MethodError, match=reason):
        run(None, Experiment(method=name))  # type: ignore[arg-type]


def test_numbers_are_a_line_each_with_their_protocol() -> None:
    lora = unavailable.METHODS["clip-lora"]
    by_shots, base_to_new = unavailable.numbers(lora).splitlines()
    assert by_shots.startswith("72.20 / 75.41 / 77.32 / 80.10 / 82.89 (1/2/4/8/16 shots, ViT-B/16")
    assert base_to_new.startswith("H 79.18 (base-to-new, ViT-B/16, 16 shots")
    assert unavailable.numbers(unavailable.METHODS["2sfs"]).count("\n") == 0
    assert unavailable.numbers(unavailable.METHODS["mf-adapter"]) == "none found"


def test_a_refusal_says_where_the_numbers_are() -> None:
    assert unavailable.refusal("maple") == (
        "maple cannot be fitted here: it trains parameters inside both towers, so no embedding can "
        "be kept, and this project fits on cached embeddings; `adapters methods --all` shows its "
        "published numbers."
    )


def test_what_is_published_stays_as_it_was() -> None:
    assert frozen.thawed(unavailable) == []
