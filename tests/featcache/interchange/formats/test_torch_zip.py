"""Tensors of any kind that torch saves, as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from featcache.errors import ImportRefusedError
from featcache.interchange.files import load, save
from featcache.interchange.formats import torch_zip
from featcache.interchange.naming import BARE

TENSORS = {
    "half": torch.randn(3, 4).half(),
    "bfloat": torch.randn(3, 4).bfloat16(),
    "double": torch.randn(3, 4).double(),
    "whole": torch.arange(3),
    "truth": torch.tensor([True, False]),
    "trained": torch.nn.Parameter(torch.ones(2, 3)),
    "turned": torch.randn(3, 4).T,
    "number": torch.tensor(2.5),
}


@pytest.mark.parametrize("large", [1, 1 << 26])
@pytest.mark.parametrize("name", TENSORS)
def test_tensors_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, large: int
) -> None:
    monkeypatch.setattr(torch_zip, "LARGE", large)
    path = tmp_path / "x.pth"
    torch.save(TENSORS[name], path)
    found = load(path)
    assert list(found) == [BARE]
    np.testing.assert_array_equal(found[BARE], TENSORS[name].detach().double().numpy())


def test_dicts_in_dicts(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    content = {"train": {"features": torch.ones(2, 3), "paths": ["a", "b"]}, "k": 16}
    torch.save({**content, "names": {1: "dog", 0: "cat"}}, path)
    found = load(path)
    assert list(found) == ["train_features", "train_paths", "k", "names"]
    assert found["names"].tolist() == ["cat", "dog"]
    assert found["train_paths"].tolist() == ["a", "b"]


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        save(tmp_path / f"{name}.pt", {"x": np.arange(3)}, {"names": ["a", "é"]})
    one, other = (tmp_path / f"{name}.pt" for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
    assert load(one)["names"].tolist() == ["a", "é"]
    save(one, {BARE: np.eye(3)}, {})
    assert torch.equal(torch.load(one, weights_only=True), torch.eye(3).double())


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    nested: list[object] = ["a"]
    for _ in range(60):  # a billion laughs: 60 lists that unfold to 2^60
        nested = [nested, nested]
    for content in (
        [torch.ones(2)],
        {"a": [torch.ones(2)]},
        {"a": nested},
        {3: torch.ones(1)},
        None,
    ):
        torch.save(content, path)
        with pytest.raises(ImportRefusedError):
            load(path)


def test_the_file_is_let_go(tmp_path: Path) -> None:
    """What was read does not change when the file does."""
    path = tmp_path / "x.pt"
    torch.save(torch.ones(1000), path)
    found = load(path)[BARE]
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert (found == 1).all()
    found[0] = 2
