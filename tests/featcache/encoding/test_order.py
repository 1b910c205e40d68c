"""What was asked for, as it travels."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from featcache.encoding.order import load, read
from featcache.pictures import digest
from featcache.pictures.limit import MAX_PIXELS, limit_pixels, most_pixels
from tests.featcache.encoding.spread import here, order_of, tree


def test_an_order_that_has_travelled_gives_the_same_bytes(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "YOUNG", -(10**18))  # what was just made counts as old
    order = order_of(tmp_path, backbone=f"local-dir:{tiny_folder}")
    order = replace(order, reading={"name": "mine"}, prompts="single")
    sent = pickle.loads(pickle.dumps(order))
    assert sent == order
    assert tree(here(sent, "a")) == tree(here(order, "b"))
    ((data, bank),) = read(order)
    assert (data.name, bank.name) == ("mine", "single")
    assert load(order, order.backbones[0]).device.type == "cpu"


def test_the_limit_of_pixels_travels(tmp_path: Path) -> None:
    try:
        read(replace(order_of(tmp_path), max_pixels=5))
        assert most_pixels() == 5
    finally:
        limit_pixels(MAX_PIXELS)
