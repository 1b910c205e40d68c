"""Cards: what is written is read again; `test_adapter` flips their bits and forges them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from adapters.card import FORMAT, read, write

CONTENT: dict[str, Any] = {"method": "gda", "config": {}, "classnames": ["é"], "about": {"x": 1}}


@given(some.text(), some.binary(max_size=99))
def test_what_is_written_is_read_again(name: str, state: bytes) -> None:
    """Also where a name looks like the sum itself."""
    for told in (name, '"sum": ""', '"sum": "'):
        content = {**CONTENT, "about": {"note": told}, "classnames": [told]}
        text = write(content, state)
        assert read(text.encode(), state) == {**json.loads(text), **content}
        assert json.loads(text)["format"] == FORMAT


@pytest.mark.parametrize("change", ["indent", "order", "classname", "no sum", "state"])
def test_a_card_that_was_edited_is_refused(change: str) -> None:
    held = json.loads(write(CONTENT, b"state"))
    if change == "order":
        held = dict(reversed(held.items()))
    if change == "classname":
        held["classnames"] = ["e"]
    if change == "no sum":
        held.pop("sum")
    text = json.dumps(held, indent=2 if change == "indent" else 1, ensure_ascii=False) + "\n"
    with pytest.raises(ValueError, match="sum"):
        read(text.encode(), b"other" if change == "state" else b"state")
