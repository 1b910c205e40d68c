"""Named arrays of strangers: what they may look like, and one sentence for all else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from featcache.errors import ImportRefusedError
from featcache.interchange.arrays import UNKNOWN, check, logit_scale
from tests.entries import arrays

Change = Callable[[dict[str, np.ndarray]], Any]


def pool(**changes: Any) -> dict[str, np.ndarray]:
    """Two classes, three rows, one prompt a class, four wide."""
    found = {
        "image_features": np.arange(12, dtype=np.float32).reshape(3, 4),
        "labels": np.array([0, 1, 1]),
        "classnames": np.array(["cat", "big_dog"]),
        "text_features": np.ones((2, 3, 4), np.float32) * np.arange(1, 3)[:, None, None],
    }
    return {**found, **changes}


def test_splits_are_those_that_are_named() -> None:
    given = arrays()
    found = check(given)
    assert list(found.splits) == ["train", "val", "test"]
    assert found.classnames == ("cat", "dog", "emu")
    assert found.width == 8
    with pytest.raises(FrozenInstanceError):
        found.classnames = ()  # type: ignore[misc]
    for name, split in found.splits.items():
        assert split.features is given[f"{name}_features"]
        assert split.labels.dtype == np.int64
        assert split.labels.tolist() == given[f"{name}_labels"].tolist()
        assert split.ids[:2] == (f"{name}/000000", f"{name}/000001")


@pytest.mark.parametrize("key", ["image_features", "features", "feature_list", "embedding"])
@pytest.mark.parametrize("labels", ["labels", "label_list", "label"])
def test_features_without_splits_are_one_pool(key: str, labels: str) -> None:
    given = pool()
    given = {key: given.pop("image_features"), labels: given.pop("labels"), **given}
    found = check(given)
    assert list(found.splits) == ["pool"]
    assert found.splits["pool"].ids == ("pool/000000", "pool/000001", "pool/000002")
    assert found.splits["pool"].labels.tolist() == [0, 1, 1]


def test_named_splits_come_before_a_pool() -> None:
    assert list(check({**arrays({"test": 6}), "embedding": np.ones((3, 8))}).splits) == ["test"]


def test_ids_are_taken_where_they_are_given() -> None:
    assert check(pool(ids=np.array(["a", "b", "c"]))).splits["pool"].ids == ("a", "b", "c")
    given = arrays({"train": 3})
    assert check({**given, "train_ids": np.arange(3)}).splits["train"].ids == ("0", "1", "2")
    assert check({**given, "ids": np.arange(3)}).splits["train"].ids[0] == "train/000000"
    with pytest.raises(ImportRefusedError) as error:
        check(pool(ids=np.array(["a"])))
    assert str(error.value) == "1 ids for the 3 rows of image_features."


def test_there_may_be_one_class() -> None:
    given = pool(labels=np.zeros(3, int), classnames=np.array(["cat"]))
    found = check({**given, "text_features": np.ones((1, 3, 4), np.float32)})
    assert (found.width, len(found.text)) == (4, 1)


def test_whole_labels_may_be_floating() -> None:
    assert check(pool(labels=np.array([0.0, 1.0, 1.0]))).splits["pool"].labels.tolist() == [0, 1, 1]
    labels = np.array([0, 1, 1], np.uint8)
    assert check(pool(labels=labels)).splits["pool"].labels.dtype == np.int64


def test_prompts_that_are_not_given_are_unknown() -> None:
    assert UNKNOWN == "unknown"
    found = check(pool())
    assert found.prompts == [["unknown prompt 0", "unknown prompt 1", "unknown prompt 2"]] * 2


def test_prompts_may_be_prefixes_or_templates() -> None:
    found = check(pool(prompts=np.array(["a photo of a", "the {}!", "{} {}"])))
    assert found.prompts == [
        ["a photo of a cat", "the cat!", "cat cat"],
        ["a photo of a big dog", "the big dog!", "big dog big dog"],
    ]


def test_prompts_of_each_class_may_be_of_different_numbers() -> None:
    text = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    prompts = np.array([["a", "", "b"], ["c", "d", "e"]])
    found = check(pool(prompts=prompts, text_features=text))
    assert found.prompts == [["a", "b"], ["c", "d", "e"]]
    assert found.text[0].tolist() == text[0][[0, 2]].tolist()
    assert found.text[1].tolist() == text[1].tolist()


def test_classes_may_be_the_second_axis_or_the_only_one() -> None:
    text = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for given in (text, text.transpose(1, 0, 2)):
        found = check(pool(text_features=given))
        assert [mine.tolist() for mine in found.text] == text.tolist()
    (first, second) = check(pool(text_features=text[:, 0])).text
    assert (first.tolist(), second.tolist()) == ([[0, 1, 2, 3]], [[12, 13, 14, 15]])


def test_as_many_prompts_as_classes_need_prompts_by_class() -> None:
    square = np.arange(16, dtype=np.float32).reshape(2, 2, 4)
    for prompts in (None, np.array(["a", "b"])):
        given = pool(text_features=square)
        with pytest.raises(ImportRefusedError) as error:
            check(given if prompts is None else {**given, "prompts": prompts})
        assert str(error.value) == (
            "text_features has as many prompts as classes, so its axes cannot be told apart; "
            "give prompts as [classes, prompts]."
        )
    found = check(pool(text_features=square, prompts=np.array([["a", "b"], ["c", "d"]])))
    assert [mine.tolist() for mine in found.text] == square.tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 1e30, 1e-30])
@pytest.mark.parametrize("key", ["image_features", "text_features"])
def test_rows_that_nobody_can_use_are_named(key: str, value: float) -> None:
    given = pool()
    given[key] = given[key].astype(np.float32)
    given[key].reshape(-1, 4)[1] = value
    with pytest.raises(ImportRefusedError) as error:
        check(given)
    where = "pool" if key == "image_features" else "text_features of class 'cat'"
    assert str(error.value).startswith(f"{where}: 1 row is ")
    assert str(error.value).endswith(", the first is row 1; mend or remove it.")


@pytest.mark.parametrize("value", [1e5, 1e-8])
def test_what_half_precision_has_no_room_for_is_taken(value: float) -> None:
    assert check(pool(image_features=np.full((3, 4), value, np.float32))).width == 4


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.nan, "logit_scale is nan, but must be a positive number"),
        (np.inf, "logit_scale is inf, but must be a positive number"),
        (-5.0, "logit_scale is -5, but must be a positive number"),
        (0, "logit_scale is 0, but must be a positive number"),
        (4.6052, "looks like a logarithm: give --logit-scale 100 if it is one, or --logit-scale "),
        (2.6593, "looks like a logarithm: give --logit-scale 14.29 if it is one"),
        ([1.0, 2.0], r"must be one number, got float64 \[2\]"),
        ([], r"must be one number, got float64 \[0\]"),
        ("100", r"must be one number, got <U3 \[\]"),
        (1j, r"must be one number, got complex128 \[\]"),
    ],
)
def test_logit_scales_that_are_none(value: object, told: str) -> None:
    with pytest.raises(ImportRefusedError, match=told):
        logit_scale({"logit_scale": np.array(value)})
    assert logit_scale({"logit_scale": np.array(value)}, 4.0) == (4.0, "given by hand")


def test_a_logit_scale_by_hand_is_a_positive_number() -> None:
    with pytest.raises(ImportRefusedError, match="must be a positive number"):
        logit_scale({}, -1.0)
    for given in (np.array(100), np.array([100.0]), np.array([[100]], np.float16)):
        assert logit_scale({"logit_scale": given}) == (100.0, "file")
    assert logit_scale({}) == (100.0, "assumed, CLIP's 100")


@pytest.mark.parametrize("key", ["classnames", "prompts", "ids"])
def test_text_may_be_bytes(key: str) -> None:
    given = pool(prompts=np.array(["a", "b", "c"]), ids=np.array(["x", "y", "z"]))
    same = check({**given, key: np.char.encode(given[key])})
    assert (same.classnames, same.prompts) == (("cat", "big_dog"), check(given).prompts)
    assert same.splits["pool"].ids == ("x", "y", "z")
    with pytest.raises(ImportRefusedError, match=f"{key} holds text that is not UTF-8"):
        check({**given, key: np.array([b"\xff"] * len(given[key]))})


def test_only_training_rows_must_have_every_class() -> None:
    given = arrays({"train": 6, "test": 6})
    given["test_labels"] = np.zeros(6, int)
    assert list(check(given).splits) == ["train", "test"]
    given["train_labels"] = np.array([0, 0, 2, 2, 0, 2])
    with pytest.raises(ImportRefusedError) as error:
        check(given)
    assert str(error.value) == "class 'dog' has no row in train."
    with pytest.raises(ImportRefusedError, match="class 'big_dog' has no row in pool"):
        check(pool(labels=np.zeros(3, int)))


REFUSED = {
    "no image features among the arrays (labels, classnames, text_features); expected "
    "image_features and labels, or train_features, train_labels and so on.": {
        "image_features": None
    },
    "image_features has no labels beside it.": {"labels": None},
    "image_features must be floating [n, d], got float32 [12].": {
        "image_features": np.arange(12, dtype=np.float32)
    },
    "image_features must be floating [n, d], got int64 [3, 4].": {
        "image_features": np.ones((3, 4), np.int64)
    },
    "labels must be 3 whole numbers, got int64 [2].": {"labels": np.array([0, 1])},
    "labels must be 3 whole numbers, got float64 [3].": {"labels": np.array([0, 1, 0.5])},
    "no classnames among the arrays; add them as an array of text, or give --classes FILE.": {
        "classnames": None
    },
    "pool: labels run from 0 to 2, but there are 2 class names.": {"labels": np.array([0, 1, 2])},
    "pool: labels run from -1 to 1, but there are 2 class names.": {"labels": np.array([-1, 1, 0])},
    "text_features must be floating [classes, prompts, d] with 2 classes, got float32 [3, 4].": {
        "text_features": np.ones((3, 4), np.float32)
    },
    "text_features must be floating [classes, prompts, d] with 2 classes, got int64 [2, 3, 4].": {
        "text_features": np.ones((2, 3, 4), np.int64)
    },
    "text_features must be floating [classes, prompts, d] with 2 classes, got float32 [3, 3, 2].": {
        "text_features": np.ones((3, 3, 2), np.float32)
    },
    "prompts [2] fit neither [3] nor [2, 3].": {"prompts": np.array(["a", "b"])},
    "prompts [3, 2] fit neither [3] nor [2, 3].": {"prompts": np.full((3, 2), "a")},
    "pool features are 4 wide and text features 5; both must come from the same backbone.": {
        "text_features": np.ones((2, 3, 5), np.float32)
    },
    "labels must be 3 whole numbers, got float64 [3]. ": {"labels": np.array([0, 1, np.nan])},
    "labels must be 3 whole numbers, got float64 [3].  ": {"labels": np.array([0, 1, np.inf])},
    "labels must be 3 whole numbers, got <U1 [3].": {"labels": np.array(["0", "1", "1"])},
    "labels must be 3 whole numbers, got bool [3].": {"labels": np.array([True, False, True])},
    "labels must be 3 whole numbers, got int64 [3, 1].": {"labels": np.array([[0], [1], [1]])},
    "labels must be 3 whole numbers, got int64 [].": {"labels": np.array(0)},
    "image_features is empty ([0, 4]); leave the split out, or fill it.": {
        "image_features": np.ones((0, 4)),
        "labels": np.ones(0, int),
    },
    "image_features is empty ([3, 0]); leave the split out, or fill it.": {
        "image_features": np.ones((3, 0)),
    },
    "text_features is empty ([2, 3, 0]); fill it.": {"text_features": np.ones((2, 3, 0))},
    "text_features is empty ([2, 0, 4]); fill it.": {"text_features": np.ones((2, 0, 4))},
    "classnames must be a list of text, got <U3 [].": {"classnames": np.array("cat")},
    "classnames must be a list of text, got int64 [2].": {"classnames": np.arange(2)},
    "classnames must be a list of text, got <U3 [1, 2].": {
        "classnames": np.array([["cat", "dog"]])
    },
    "classnames holds a name without letters; every class needs one.": {
        "classnames": np.array(["cat", " "])
    },
    "prompts must be a list of text, got float64 [3].": {"prompts": np.ones(3)},
    "prompts must be a list of text, got int64 [3]. ": {"prompts": np.ones((2, 3), int)},
    "ids must be a list of text, got float64 [3].": {"ids": np.ones(3)},
    "ids must be a list of text, got <U1 [].": {"ids": np.array("a")},
    "class 'big_dog' has no prompt that is not empty.": {
        "prompts": np.array([["a", "b", "c"], ["", "", ""]])
    },
}


@pytest.mark.parametrize("told", REFUSED)
def test_refusals(told: str) -> None:
    changed = pool(**REFUSED[told])
    with pytest.raises(ImportRefusedError) as error:
        check({key: array for key, array in changed.items() if array is not None})
    assert str(error.value) == told.strip()  # spaces tell cases of one sentence apart
