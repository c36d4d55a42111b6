"""The conformance server, for the suites that judge it."""

import os
import subprocess


class Server:
    """Serves while it is entered; `address` is where, as HOST:PORT. At the end it must exit 0."""

    def __init__(self, *arguments):
        self._process = subprocess.Popen(
            [os.environ["FOURFOLD_CONFORMANCE_BIN"], *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the conformance server does not start: {self._process.stderr.read().strip()}")
        self.address = line.strip().removeprefix("serving on http://")
        return self

    def kill(self):
        self._process.kill()
        self._process.wait()

    def __exit__(self, *_):
        self._process.terminate()
        try:
            status = self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        if status != 0:
            raise RuntimeError(f"the conformance server ended with {status}: {self._process.stderr.read().strip()}")
