"""What a notebook shows: a few lines, whatever the size of a thing, and no markup of others."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import torch

import adapters
from featcache import FeatureCache, notebook
from tests.entries import make_entry


def test_things_show_themselves_in_a_few_lines(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    cache = FeatureCache(tmp_path / "cache")
    outcome = adapters.fit(entry, "gda", shots=4, policy="none", calibrate=True)
    results = adapters.Results(tmp_path / "results.sqlite")
    assert repr(results).endswith("rows 0)")
    results.add(outcome.row)
    shown = (
        (entry, ["animals", "classes 3", "train 30", "test 21"]),
        (cache, ["entries 1"]),
        (outcome.adapter, ["gda", "animals", "classes 3", "temperature"]),
        (results, ["rows 1"]),
    )
    for thing, told in shown:
        assert all(each in repr(thing) for each in told), repr(thing)
        assert len(repr(thing)) < 300
        html = thing._repr_html_()
        assert html.startswith("<b>")
        assert len(html) < 3000
    assert "animals" in cache._repr_html_()
    assert f"<td>{outcome.row['accuracy']}</td>" in results._repr_html_()


def test_names_are_no_markup() -> None:
    found = notebook.table("<b>", ("<i>",), [("<script>",)]) + notebook.facts("&", {"<u>": "<p>"})
    for mark in ("<i>", "<script>", "<u>", "<p>"):
        assert mark not in found


def test_what_is_empty_is_not_said() -> None:
    assert notebook.line("Thing", "x", {"a": "", "b": None, "c": 0}) == "Thing(x: c 0)"
    assert notebook.line("Thing", "x", {}) == "Thing(x)"
    assert notebook.several({"train": 1000, "test": 5}) == "train 1,000, test 5"


def test_queries_may_be_arrays(tmp_path: Path) -> None:
    entry = make_entry(tmp_path)
    fitted = adapters.fit(entry, "ncm", shots=2, policy="none").adapter
    x = entry.images("test").embedding
    expected = fitted.logits(torch.from_numpy(np.array(x, np.float32)))
    for kind in (np.float32, np.float64):
        assert torch.equal(fitted.logits(x.astype(kind)), expected)
    assert fitted.predict(x) == [entry.classnames[i] for i in expected.argmax(1).tolist()]


def test_a_drawing_is_a_picture_of_its_own_with_title_and_note() -> None:
    """So that two drawings on a page share no names."""
    found = notebook.picture("a & b", "<svg id='one'/>", "<note>")
    assert "<svg" not in found
    assert "a &amp; b" in found
    assert "&lt;note&gt;" in found
    (content,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', found)
    assert b64decode(content) == b"<svg id='one'/>"
    assert "<small>" not in notebook.picture("a", "<svg/>")


def test_a_notebook_is_known_by_its_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not notebook.here()
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert notebook.here()
