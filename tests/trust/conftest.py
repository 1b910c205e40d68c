"""What tests of faults and kills share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.trust.warm import NEEDED, Warm, can

SIDE_BY_SIDE = 2


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Warm]]:
    """Processes that run commands, and in which calls can be made to fail."""
    if not can():
        pytest.skip(f"needs {NEEDED}")
    folder = tmp_path_factory.mktemp("warm")
    with ExitStack() as ending:
        yield [ending.enter_context(Warm(folder)) for _ in range(SIDE_BY_SIDE)]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print counts, also of a test that passes."""

    def written(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return written
