"""Quiet: nothing is said within, and everything as before behind it."""

from __future__ import annotations

import logging
import warnings

import pytest

from featcache.quiet import quiet


def test_nothing_is_said_within_and_all_as_before_afterwards(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failing() -> None:
        with quiet():
            warnings.warn("unheard", stacklevel=1)  # an error in this suite, where it is heard
            logging.getLogger("some").critical("unheard")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    logging.getLogger("some").warning("heard")
    assert [record.message for record in caplog.records] == ["heard"]
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", stacklevel=1)
