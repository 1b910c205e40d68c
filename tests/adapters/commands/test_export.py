"""A saved adapter as a head, typed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.typed import Type


def test_a_head_with_its_classes_beside_it(filled: Type, tmp_path: Path) -> None:
    folder = filled("adapters fit --method ncm --shots 2 --policy none --json").json["adapter"]
    told = filled("adapters export --out head.pt2 --output logits --json", folder).json
    assert told["difference"] <= 1e-4
    beside = json.loads((tmp_path / "head.json").read_text())
    assert beside["classes"] == ["cat", "dog", "emu"]
    assert beside["preprocess"] is None
    assert "is not said" in filled("adapters export --out head.pt2", folder).out
    wrong = filled("adapters export --out head.bin", folder)
    assert wrong.status == 1
    assert ".onnx or .pt2" in wrong.err
