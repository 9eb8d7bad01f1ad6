"""For all tests and doctests: nothing is written to the home of who runs them."""

import os

os.environ.setdefault("FNN_CACHE", "0")
