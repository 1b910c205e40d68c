"""The benchmarks start: nothing that they name has moved away."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(  # the others are parts of these
    path for path in BENCHMARKS.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_benchmark_starts(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, where torch is loaded already; each from its own folder, as Python does."""
    monkeypatch.syspath_prepend(str(script.parent))
    monkeypatch.setattr("sys.argv", [str(script), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert not ended.value.code
    assert "--" in capsys.readouterr().out


def test_a_page_beside_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only accuracies count: not seconds, not tables with another first column."""
    before = """## RN50

| method | 1 shot | 4 shots | s a fit |
| --- | ---: | ---: | ---: |
| gda | 70.0 ± 1.0 | 80.0 ± 1.0 | 9.00 |
| data | – | 80.0 ± 1.0 | 9.00 |

## Base to new

| method | RN50, 4 shots |
| --- | ---: |
| gda | 90.0 / 60.0 / 72.0 |

| data | 1 shot |
| --- | ---: |
| gda | 10.0 ± 1.0 |
"""
    after = before.replace("70.0 ± 1.0", "69.0 ± 2.0").replace("60.0", "60.3")
    after = after.replace("9.00", "1.00").replace("10.0", "99.9").replace("| data | –", "| ncm | –")
    pages = []
    for name, text in (("before.md", before), ("after.md", after)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        pages.append(str(tmp_path / name))
    monkeypatch.setattr("sys.argv", ["changes.py", *pages])
    runpy.run_path(str(BENCHMARKS / "changes.py"), run_name="__main__")
    told = capsys.readouterr().out
    assert "1 of 5 means changed by more than 0.3 points." in told
    assert "| gda | -0.50 | -1.0 (RN50, 1 shot) | 1 of 2 |" in told
    assert "| gda | +0.10 | +0.3 (RN50, 4 shots, new) | 0 of 3 |" in told
    assert "Without earlier rows: `ncm`." in told
