"""What the Python scripts share: where the server is, and one printed line a check."""

import os
import sys
import traceback

URL = os.environ["FOURFOLD_URL"]
HOST = URL.removeprefix("http://")
PACKAGE = os.environ["FOURFOLD_PACKAGE"]
ADMIN_TOKEN = os.environ["FOURFOLD_ADMIN_TOKEN"]
_key = 7_000_000 + int.from_bytes(os.urandom(2), "big") * 10


def fresh_key():
    """A key that no other check uses."""
    global _key
    _key += 1
    return _key


def check(name):
    """Runs the decorated function at once and prints how it went; a failure does not stop the next check."""

    def run(body):
        try:
            body()
            print(f"ok {name}", flush=True)
        except BaseException as error:  # noqa: BLE001, an assertion or anything that a client raises
            if isinstance(error, KeyboardInterrupt):
                raise
            why = " ".join(f"{type(error).__name__} {error}".split())[:400]
            print(f"not ok {name}: {why}", flush=True)
            traceback.print_exc(file=sys.stderr)
        return body

    return run
