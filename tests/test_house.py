"""The house as it is drawn: no circles, no long rooms, every room with its first sentence."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("featcache", "adapters")
ROOMS = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
SOURCES = [ROOT / "cli.py", *ROOMS]
LINES, FUNCTION, FLAT = 400, 60, 24


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def test_no_module_imports_one_that_imports_it(graph: grimp.ImportGraph) -> None:
    """At any depth, in functions too, and counting what importing a package brings along."""
    reached = {module: graph.find_upstream_modules(module) for module in graph.modules}
    circles = [(m, other) for m, found in reached.items() for other in found if m in reached[other]]
    assert circles == []


def test_rooms_are_not_too_long() -> None:
    long = {str(path): n for path in SOURCES if (n := _lines(path)) > LINES}
    assert long == {}


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_functions_are_not_too_long() -> None:
    """The options of a command, of which there can be many, count as one line."""
    long = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                first = node.body[0].lineno if "commands" in path.parts else node.lineno
                lines = (node.end_lineno or 0) - first + 1
                if lines > FUNCTION:
                    long[f"{path.name}:{node.name}"] = lines
    assert long == {}


def test_few_rooms_lie_flat_in_adapters() -> None:
    assert len(list((ROOT / "adapters").glob("*.py"))) <= FLAT


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_says_in_a_sentence_what_is_inside(path: Path) -> None:
    head = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = head.partition("\n")[0]
    assert first.endswith((".", ":")), first
    assert len(first) > 10


def test_packages_below_the_top_import_nothing() -> None:
    """What a package imported would be imported by whatever it holds."""
    for path in ROOMS:
        if path.name == "__init__.py" and path.parent.name not in PACKAGES:
            assert len(ast.parse(path.read_text(encoding="utf-8")).body) == 1, path


def test_every_package_is_installed() -> None:
    import tomllib

    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(document["tool"]["setuptools"]["packages"]) - {"featcache.data"}
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in ROOMS
        if path.name == "__init__.py"
    }
    assert listed == found


def test_every_room_has_its_tests() -> None:
    """`adapters/maths/kernels.py` is tested in `tests/adapters/maths/test_kernels.py`."""
    missing = []
    for path in ROOMS:
        inside = path.relative_to(ROOT)
        beside = (ROOT / "tests" / inside).with_name(f"test_{inside.stem.lstrip('_')}.py")
        if path.name != "__init__.py" and not beside.exists():
            missing.append(str(inside))
    assert missing == []


@pytest.mark.parametrize(
    "room",
    ["commands.completion", "expression", "registry", "results", "sweeping.engine", "unavailable"],
)
def test_light_rooms_do_without_torch(room: str) -> None:
    code = (
        f"import sys, adapters.{room}\n"
        "heavy = {'torch', 'open_clip', 'numpy', 'pandas', 'h5py'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
