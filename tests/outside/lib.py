"""What the Python scripts share: where the server is, and one printed line a check."""

import os
import sys
import traceback

URL = os.environ["FOURFOLD_URL"]
HOST = URL.removeprefix("http://")
PACKAGE = os.environ["FOURFOLD_PACKAGE"]
ADMIN_TOKEN = os.environ["FOURFOLD_ADMIN_TOKEN"]
CUSTOMER_TOKEN = os.environ["FOURFOLD_CUSTOMER_TOKEN"]
# What every client finds in the example.
ACDC_ALBUMS = ["For Those About To Rock We Salute You", "Let There Be Rock"]
# Text that is easily mangled on its way, and a price whose last zero a number would lose.
TRICKY_NAME, TRICKY_PRICE = 'Ünïcode ✓ "\\ 𝄞', "12345678.90"
_key = 7_000_000 + int.from_bytes(os.urandom(2), "big") * 10
_failed = False


def fresh_key():
    """A key that no other check uses."""
    global _key
    _key += 1
    return _key


def equal(actual, expected):
    assert actual == expected, f"expected {expected!r}, got {actual!r}"


def check(name):
    """Runs the decorated function at once and prints how it went; a failure does not stop the next check."""

    def run(body):
        global _failed
        try:
            body()
            print(f"ok {name}", flush=True)
        except Exception as error:  # noqa: BLE001, an assertion or anything that a client raises
            _failed = True
            why = " ".join(f"{type(error).__name__} {error}".split())[:400]
            print(f"not ok {name}: {why}", flush=True)
            traceback.print_exc(file=sys.stderr)
        return body

    return run


def finish():
    """Ends the script: 1 where a check failed."""
    sys.exit(1 if _failed else 0)
