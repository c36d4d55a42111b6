"""Autobahn's cases of RFC 6455 against the WebSocket at /echo, by kosoku: all but compression (12 and 13), which is not offered."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from conformance import Server
from lib import check, equal, finish

# 247 cases of the framing, and the 54 of large messages.
CASES = 301
# What passes: a case may judge nothing, or allow what is slower than it might be to refuse.
GOOD = {"behavior": {"OK", "NON-STRICT", "INFORMATIONAL"}, "behaviorClose": {"OK", "INFORMATIONAL"}}
REPORT = Path("autobahn-report")


def run(address):
    shutil.rmtree(REPORT, ignore_errors=True)
    kosoku = os.path.join(os.path.dirname(sys.executable), "kosoku")
    command = [kosoku, "-m", "fuzzingclient", "-p", "2", "-x", "12.*", "-x", "13.*", "-o", str(REPORT), f"ws://{address}/echo"]
    # It exits 1 for a case that fails, which its report says in full.
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=150, check=False)
    (cases,) = json.loads((REPORT / "index.json").read_text()).values()
    return cases


with Server() as server:
    cases = run(server.address)
for name, case in cases.items():

    @check(name)
    def judged(case=case):
        for part, good in GOOD.items():
            assert case[part] in good, f"{part} {case[part]}, closed with {case['remoteCloseCode']}"


@check("every case was run")
def all_of_them():
    equal(len(cases), CASES)


finish()
