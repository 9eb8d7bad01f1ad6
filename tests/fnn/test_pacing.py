"""How many steps a call does."""

import math
import sys

import pytest

from fnn.pacing import Pace


@pytest.fixture
def clock(monkeypatch):
    """The time, in seconds, which stands still but for what a test adds."""
    now = [100.0]
    monkeypatch.setattr("fnn.pacing.time.perf_counter", lambda: now[0])
    return now


def test_a_call_does_as_many_steps_as_take_its_seconds(clock):
    pace = Pace(2.0)
    assert pace.steps == 1
    pace.began()
    clock[0] += 0.5
    pace.ended(1)
    assert pace.steps == 4
    clock[0] += 0.25  # since the call before ended, not since it was sent
    pace.ended(4)
    assert pace.steps == 32
    clock[0] += 60
    pace.ended(20)
    assert pace.steps == 1
    pace.began()
    pace.ended(1)  # faster than the clock can tell
    assert pace.steps > 1_000_000


def test_time_that_passes_before_a_call_begins_does_not_count(clock):
    pace = Pace(2.0)
    clock[0] += 1000
    pace.began()
    clock[0] += 1
    pace.ended(1)
    assert pace.steps == 2


def test_without_a_limit_the_steps_do_not_depend_on_the_time(clock):
    pace = Pace(math.inf)
    pace.began()
    clock[0] += 1000
    pace.ended(1)
    assert pace.steps == sys.maxsize
