"""Numbers that others published: where they are from, and where they may stand."""

from __future__ import annotations

import pytest

from adapters.report import published
from adapters.report.published import Published, beside

ROW = Published("gda", "RN50", "p", "s", {"dtd": {"1": 40.0, "16": 60.5}, "eurosat": {"0": 30.0}})


def test_published_means_need_all_eleven() -> None:
    eleven = sorted(published.ELEVEN)
    full = published.beside("RN50-quickgelu:openai", eleven, 4)
    assert {r.method for r, _ in full} > {"gda", "coop", "tip-adapter"}
    assert all(len(numbers) == 12 for _, numbers in full)
    part = published.beside("RN50:openai", eleven[1:], 4)
    assert {r.method for r, _ in part} == {
        "zero-shot",
        "clip-adapter",
        "tip-adapter",
        "tip-adapter-f",
    }


@pytest.mark.parametrize("line", published.published(), ids=lambda p: f"{p.method}-{p.backbone}")
def test_published_rows_say_where_they_are_from(line: published.Published) -> None:
    assert line.source
    assert line.protocol
    assert set(line.accuracy) <= published.ELEVEN | {published.MEAN}
    numbers = [n for by_shots in line.accuracy.values() for n in by_shots.values()]
    assert all(0 < n < 100 for n in numbers)
    if line.accuracy.keys() == published.ELEVEN | {published.MEAN}:
        for shots in line.accuracy[published.MEAN]:
            own = [line.accuracy[d][shots] for d in published.ELEVEN]
            # Printed means are rounded, some from numbers of more digits.
            assert sum(own) / 11 == pytest.approx(line.accuracy[published.MEAN][shots], abs=0.06)


def test_a_number_is_that_of_its_shots_or_of_any() -> None:
    assert ROW.at("dtd", 16) == 60.5
    assert ROW.at("dtd", 2) is None
    assert [ROW.at("eurosat", k) for k in (1, 16)] == [30.0, 30.0]
    assert ROW.at("cars", 1) is None


def test_rows_stand_beside_the_weights_that_they_were_made_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(published, "published", lambda: (ROW,))
    for backbone in ("RN50:openai", "RN50-quickgelu:openai"):
        assert beside(backbone, ["dtd", "cars", "eurosat"], 16) == [(ROW, [60.5, None, 30.0])]
    for backbone in ("RN50:cc12m", "RN50", "RN50x4:openai", "ViT-B-32:openai"):
        assert beside(backbone, ["dtd"], 16) == []
    # Without any number there is no row.
    assert beside("RN50:openai", ["dtd"], 2) == []
    assert beside("RN50:openai", ["cars"], 16) == []


def test_the_mean_stands_beside_the_eleven_in_any_order_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mean = Published("gda", "RN50", "p", "s", {"mean": {"4": 70.0}})
    monkeypatch.setattr(published, "published", lambda: (mean,))
    eleven = sorted(published.ELEVEN, reverse=True)
    assert len(eleven) == 11
    assert beside("RN50:openai", eleven, 4) == [(mean, [None] * 11 + [70.0])]
    assert beside("RN50:openai", eleven[1:], 4) == []
    assert beside("RN50:openai", [*eleven, "pets"], 4) == []


def test_the_file_is_read_once() -> None:
    assert published.published() is published.published()
    assert len(published.published()) > 20
