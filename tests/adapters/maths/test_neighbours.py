"""Neighbours: they do not depend on chunks, and both sums are a matrix's."""

from __future__ import annotations

import pytest
import torch

from adapters.maths import neighbours
from tests.adapters.episodes import queries, unit


def test_neighbours_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = neighbours.nearest(unit(queries(20)), 3)
    monkeypatch.setattr(neighbours, "CHUNK", 6)
    for a, b in zip(whole, neighbours.nearest(unit(queries(20)), 3), strict=True):
        torch.testing.assert_close(a, b)


def test_pulls_are_products_with_the_graph() -> None:
    f, z = unit(queries(9)), queries(9, 4)
    index, weight = neighbours.nearest(f, 3)
    graph = torch.zeros(9, 9).scatter(1, index, weight)
    assert not graph.diagonal().any()
    torch.testing.assert_close(neighbours.pull(z, index, weight), graph @ z)
    torch.testing.assert_close(neighbours.pulled(z, index, weight), graph.T @ z)
    assert not neighbours.pull(z, index[:, :0], weight[:, :0]).any()


@pytest.mark.parametrize(("rows", "there"), [(0, 0), (1, 0), (2, 1), (4, 3)])
def test_of_few_rows_all_others_are_near(rows: int, there: int) -> None:
    index, weight = neighbours.nearest(unit(queries(rows)), 3)
    assert index.shape == weight.shape == (rows, there)
    assert all({own, *near} == {*range(rows)} for own, near in enumerate(index.tolist()))
