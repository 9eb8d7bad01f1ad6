"""How many steps to send to the device at a time."""

from __future__ import annotations

import math
import sys
import time


class Pace:
    """As many steps as take some seconds, by the time the steps before took.

    On a CPU a call of the program gets its memory anew from the system, page by page: calls should be few. But a signal
    is heard only between two of them.

    Attributes:
        steps: how many; 1 while nothing is known, the largest of integers if they may take for ever.

    Example:
        >>> pace = Pace(seconds=1.0)
        >>> pace.steps
        1
        >>> pace.began()
        >>> pace.ended(4)
        >>> pace.steps > 4
        True
    """

    def __init__(self, seconds: float) -> None:
        """Nothing is known yet; the first call does one step.

        Args:
            seconds: how long a call may take; infinite for no limit.
        """
        self._seconds, self._since = seconds, 0.0
        self.steps = 1 if seconds < math.inf else sys.maxsize

    def began(self) -> None:
        """The device has nothing else to do than what it was just sent."""
        self._since = time.perf_counter()

    def ended(self, n_steps: int) -> None:
        """The device has done ``n_steps``, since it began or since this was last called."""
        now = time.perf_counter()
        each = max(now - self._since, 1e-9) / n_steps
        self._since = now
        if self._seconds < math.inf:
            self.steps = max(1, int(self._seconds / each))
