"""Examples that several tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

import verify
from verify.checking import Checked, check
from verify.reading.example import Example, load

DECKS = Path(verify.__file__).parent / "decks"


@pytest.fixture(scope="session")
def two_two_two() -> Example:
    """The network of deck 000, slides 44-56."""
    return load(DECKS / "000_two_two_two.toml")


@pytest.fixture(scope="session")
def checked_two_two_two(two_two_two: Example) -> Checked:
    """The same, judged by all three routes and diagnosed."""
    return check(two_two_two)
