"""The door: it opens the apps `featcache` and `adapters`, and turns errors into sentences."""

from __future__ import annotations

import sys

import typer

from featcache.errors import FeatcacheError

INTERRUPTED = 130


def featcache() -> None:
    """Run the `featcache` command."""
    from featcache.commands.app import app

    _run(app)


def adapters() -> None:
    """Run the `adapters` command."""
    from adapters.commands.app import app

    _run(app)


def _run(app: typer.Typer) -> None:
    try:
        app()
    except FeatcacheError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as end:
        # Typer itself turns Ctrl-C into status 130, without a word.
        if isinstance(end, SystemExit) and end.code != INTERRUPTED:
            raise
        print("stopped; run the same command again to go on.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    featcache()
