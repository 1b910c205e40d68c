"""The picture of a flow: where the ways begin and end, and what each step is worth."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

import adapters
from adapters import compose
from adapters.adapter import Adapter
from adapters.report.flow import flow_figure, write_flow
from featcache.errors import MethodError
from featcache.store.cache import FeatureCache
from featcache.store.entry import Entry
from tests.adapters.browser import browser, look
from tests.entries import make_entry

FLOWS = {
    "fma": {"steps": 20},
    "node-adapter": {"steps": 3, "iterations": 5},
}


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    folder = tmp_path_factory.mktemp("flow")
    make_entry(folder)
    return FeatureCache(folder / "cache").find("animals")


@pytest.fixture(scope="module", params=[*FLOWS, "closed-form"])
def fitted(request: pytest.FixtureRequest, entry: Entry) -> Adapter:
    if request.param == "closed-form":
        return adapters.fit(entry, "fma", shots=4, preset="closed-form").adapter
    return adapters.fit(entry, request.param, shots=4, **FLOWS[request.param]).adapter


def test_trajectories_pass_the_states_that_are_scored(fitted: Adapter, entry: Entry) -> None:
    """Scoring each state by hand is scoring with that many steps."""
    method = compose.get(fitted.method)
    test = adapters.draw(entry, 4, 1).test
    states = method.trajectory(fitted.state, fitted.config, test.x)  # type: ignore[misc]
    scale, text = fitted.state["logit_scale"], fitted.state["text"]
    axes = dict(method.space(fitted.config).logits)
    axes.pop("odds", None)  # those that were chosen; they are no step of the way
    scored = method.scores(fitted.state, fitted.config, test.x, axes)
    for state, (_, logits) in zip(states, scored, strict=True):
        unit = normalize(state, dim=-1)
        own = unit @ text.T if fitted.method == "fma" else normalize(test.x, dim=-1) @ unit.T
        assert torch.allclose(scale * own, logits, atol=1e-4)


def test_the_picture_says_what_the_adapter_does(fitted: Adapter, entry: Entry) -> None:
    drawn = flow_figure(fitted, entry, pictures=6)
    test = adapters.draw(entry, 4, 1).test
    own = adapters.accuracy(fitted.logits(test.x), test.labels)
    assert any(score == pytest.approx(own) for score in drawn.accuracy)
    assert f"{own:.1f} % after" in drawn.text
    assert drawn._repr_html_().count("<img ") == 2
    assert 0 < drawn.explained <= 100.001
    ways = drawn.ways["data"]["values"]
    expected = 6 if fitted.method == "fma" else len(fitted.classnames)
    assert len({point["way"] for point in ways}) == expected
    # Few pictures still show every class.
    assert {point["class"] for point in ways} == set(fitted.classnames)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_files(fitted: Adapter, entry: Entry, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"flow{suffix}"
    write_flow(flow_figure(fitted, entry), path)
    if suffix == ".png":
        with Image.open(path) as picture:
            assert picture.width > picture.height > 500
    else:
        start = {".svg": b"<svg", ".pdf": b"%PDF"}[suffix]
        assert path.read_bytes().startswith(start)


def test_the_page_in_a_browser(entry: Entry, tmp_path: Path) -> None:
    fitted = adapters.fit(entry, "fma", shots=4, preset="closed-form").adapter
    write_flow(flow_figure(fitted, entry), tmp_path / "flow.html")
    with browser() as running:
        seen = look(running, tmp_path / "flow.html", 390)
    assert seen.drawn.keys() == {"ways", "steps"}
    assert (seen.said, seen.overflow) == ([], 0)


@pytest.mark.parametrize(
    ("method", "settings"), [("gda", {}), ("fma", {"readout": "ensemble", "steps": 2})]
)
def test_without_one_flow_to_draw_it_is_refused(
    entry: Entry, method: str, settings: dict[str, object]
) -> None:
    plain = adapters.fit(entry, method, shots=4, **settings).adapter
    with pytest.raises(MethodError, match=rf"{method} has no flow .* fma .* or node-adapter"):
        flow_figure(plain, entry)
