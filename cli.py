"""The door: it opens the apps `featcache` and `adapters`, and turns errors into sentences."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import typer

from featcache import threads
from featcache.errors import FeatcacheError

INTERRUPTED = 130


def featcache() -> None:
    """Run the `featcache` command."""
    threads.wait_passively()
    from featcache.commands.app import app

    _run(app)


def adapters() -> None:
    """Run the `adapters` command."""
    threads.wait_passively()
    from adapters.commands.app import app

    _run(app)


def _run(app: typer.Typer) -> None:
    _open_standard()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here, where a refusal can still be told
    except FeatcacheError as error:
        _end(1, f"error: {error}")
    except (KeyboardInterrupt, SystemExit) as end:
        # Typer itself turns Ctrl-C into status 130, without a word.
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        _end(INTERRUPTED, "stopped; run the same command again to go on.")
    except BrokenPipeError:
        _end(0)  # whoever read has enough
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _end(
            1,
            f"error: {where}{error.strerror or str(error) or repr(error)}; see to the disk, its "
            "space and the permissions, and run the same command again.",
        )


def _end(status: int, text: str = "") -> NoReturn:
    """End with a status and a sentence, also where nothing more can be printed."""
    with suppress(OSError):
        sys.stdout.flush()
    with suppress(OSError):
        print(text, end="\n" if text else "", file=sys.stderr, flush=True)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # what is left in it would be told as a traceback at the very end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)


def _open_standard() -> None:
    """Have standard streams that were closed lead nowhere, lest a file takes their number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Of the numbers that are free it takes the lowest: its own.
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115


if __name__ == "__main__":
    featcache()
