"""What the tests of replay run under."""

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """Takes the place of the one for all: a virtual loop is meant to be blocked."""


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """The commands set logging up for their process; it is put back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
