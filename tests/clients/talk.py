"""What a program says to the test that started it, and what it is told: one JSON object a line.

Not for people: what goes wrong is an exception, on standard error.
"""

import json
import sys


def tell(step, **facts):
    """Says that a step is done, with what the test should know of it."""
    print(json.dumps({"step": step, **facts}), flush=True)


def wait():
    """Waits until the test says to go on; gives what it says."""
    line = sys.stdin.readline()
    if not line:
        raise SystemExit("the test is gone")
    return json.loads(line)


def equal(found, expected, what):
    """Fails unless both are the same."""
    if found != expected:
        raise AssertionError(f"{what}: {found!r} instead of {expected!r}")
