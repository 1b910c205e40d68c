"""Text in files of its own, whatever way it lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange.arrays import check
from featcache.interchange.text import is_prompts, prompts_of, read_text
from tests.featcache.interchange.layouts import CLASSES, NAMES, cloud, unit

PATH = Path("text.pt")
VECTORS = unit(cloud(np.arange(CLASSES), 0)[0])  # [c, d]
ALL = cloud(np.arange(CLASSES), 0, views=CLASSES).transpose(1, 0, 2)  # [c, p, d], p = c
POOL = {
    "features": cloud(np.arange(CLASSES), 1)[0],
    "labels": np.arange(CLASSES),
    "classnames": np.array(NAMES),
}


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"array": VECTORS}, VECTORS[:, None]),
        ({"array": VECTORS.T}, VECTORS[:, None]),
        ({"text_features": ALL, "other": np.ones(3)}, ALL),
        ({"array": ALL[:, :3].transpose(1, 0, 2)}, ALL[:, :3]),
        ({"array": ALL[:, :3], "scale": np.array(2)}, ALL[:, :3]),
    ],
)
def test_classes_come_first(arrays: dict[str, np.ndarray], expected: np.ndarray) -> None:
    found = check({**POOL, **read_text(PATH, arrays, CLASSES)})
    np.testing.assert_array_equal(np.stack(found.text), expected)


def test_prompts_one_by_one_are_put_together_by_class() -> None:
    order = np.array([1, 0, 4, 3, 2, 1, 0])
    arrays = {"features": cloud(order, 0)[0], "labels": order, "eot_indices": order}
    assert is_prompts(arrays.keys())
    assert not is_prompts({"features", "labels"})
    found = check({**POOL, **read_text(PATH, arrays, CLASSES)})
    for label in range(CLASSES):
        np.testing.assert_array_equal(found.text[label], arrays["features"][order == label])
    assert [len(each) for each in found.prompts] == [2, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"array": VECTORS[:3]}, "none of its axes is as long"),
        ({"a": VECTORS, "b": VECTORS}, "no single one is text"),
        ({"array": np.arange(3)}, "no single one is text"),
        ({"features": VECTORS, "labels": np.arange(4)}, "prompts are"),
        ({"features": VECTORS, "labels": np.array([0, 0, 1, 2, 4])}, "some class has no prompt"),
        ({"features": VECTORS, "labels": np.arange(5) - 1}, "some class has no prompt"),
    ],
)
def test_refusals(arrays: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(ImportRefusedError, match=words):
        read_text(PATH, arrays, CLASSES)


def test_labels_far_apart_take_no_memory() -> None:
    with pytest.raises(ImportRefusedError, match="some class has no prompt"):
        prompts_of(PATH, {"features": np.ones((2, 3)), "labels": np.array([0, 2**60])})
