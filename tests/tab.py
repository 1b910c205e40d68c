"""What Tab offers: by a shell at the end of a line, and by a callback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from featcache.terminal import Completer

ROOT = Path(__file__).parents[1]
SCRIPT = """
import sys
from {program}.commands.app import app
try: app(prog_name="{program}")
except SystemExit: pass
heavy = {{"torch", "open_clip", "pandas", "numpy", "h5py", "PIL", "sklearn"}} & set(sys.modules)
sys.exit(str(heavy) if heavy else 0)
"""


def offered(line: str, cache: Path) -> list[str]:
    """What a shell is offered at the end of a line, silently and with nothing heavy imported."""
    program = line.partition(" ")[0]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(cache),
        "FEATCACHE_HOME": str(cache),
        f"_{program.upper()}_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    command = [sys.executable, "-c", SCRIPT.format(program=program)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout.split()


class _Context:
    """What the callbacks read of Typer's context."""

    def __init__(self, **params: object) -> None:
        self.params = params


def complete(callback: Completer, begun: str = "", **params: object) -> list[str]:
    """What a callback offers where so much is typed, beside these options."""
    return callback(_Context(**params), begun)  # type: ignore[arg-type]
