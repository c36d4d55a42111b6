"""The own test suite of Centrifugo's Python client, unmodified, from its source distribution, against `--centrifuge-fixture`.

It looks for its server on localhost:8000. What it logs stands in `centrifuge-python.log`.
"""

import os
import signal
import subprocess
import sys
import tarfile
import unittest
from pathlib import Path

from conformance import Server
from lib import check, equal, finish

TESTS = 185
# Its tests wait without a deadline for what never comes.
SECONDS_MAX = 160
SOURCE = Path("centrifuge-python-source").absolute()
ROOT = SOURCE / "centrifuge_python-0.7.0"


def fetch():
    """The source distribution, by its hash."""
    if ROOT.is_dir():
        return
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    of_source = ["--no-deps", "--no-binary", ":all:", "--require-hashes"]
    subprocess.run([*pip, *of_source, "--dest", SOURCE, "--requirement", "centrifuge_python.txt"], check=True)
    with tarfile.open(SOURCE / f"{ROOT.name}.tar.gz") as archive:
        archive.extractall(SOURCE, filter="data")


class Lines(unittest.TestResult):
    """Says each test; a test that fails by parts is said once."""

    running = "nothing"

    def startTest(self, test):
        super().startTest(test)
        self.running = test.id()

    def stopTest(self, test):
        super().stopTest(test)
        # The parts of a test (`subTest`) are called as it is, and more.
        wrong = [text for of, text in self.failures + self.errors if of.id().startswith(test.id())]
        if wrong:
            say(f"not ok {test.id()}: {wrong[0].strip().splitlines()[-1][:400]}")
        else:
            say(f"ok {test.id()}")
        self.running = "nothing"


def say(line):
    print(line, flush=True)


fetch()
sys.stderr = open("centrifuge-python.log", "w")  # noqa: SIM115, until the end
os.chdir(ROOT)
sys.path.insert(0, str(ROOT))
lines = Lines()


@check("the fixture is served, and ends when it is asked to")
def run():
    with Server("--centrifuge-fixture") as server:

        def give_up(*_):
            server.kill()
            say(f"not ok {lines.running}: longer than {SECONDS_MAX} s for all tests")
            os._exit(1)

        signal.signal(signal.SIGALRM, give_up)
        signal.alarm(SECONDS_MAX)
        unittest.defaultTestLoader.discover("tests", top_level_dir=".").run(lines)
        signal.alarm(0)


for test, text in lines.failures + lines.errors:
    sys.stderr.write(f"{test}\n{text}\n")


@check("every test was run and passed")
def all_of_them():
    equal((lines.testsRun, len(lines.failures), len(lines.errors), len(lines.skipped)), (TESTS, 0, 0, 0))


finish()
