"""What the Kafka suites share: a broker from `cargo xtask services`, and a server with Kafka in it."""

import http.client
import json
import os
import signal
import subprocess
import threading
import time

from lib import equal

PATIENCE_S = 120 + 2 * float(os.environ.get("TEST_KAFKA_DOWN_S", "5"))
BINARY, XTASK = os.environ["FOURFOLD_KAFKA_BIN"], os.environ["FOURFOLD_XTASK"]
# Of our own settings nothing may come from the environment.
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith("FOURFOLD_")}


def services(*arguments):
    ran = subprocess.run([XTASK, "services", *arguments], env=ENVIRONMENT, capture_output=True, text=True)
    assert ran.returncode == 0, f"services {arguments}: {ran.stdout}{ran.stderr}"
    return ran.stdout


def until(what, holds, patience_s=PATIENCE_S):
    begun = time.monotonic()
    while not (found := holds()):
        assert time.monotonic() - begun < patience_s, f"waited in vain until {what}"
        time.sleep(0.05)
    return found


class Server:
    """`fourfold dev` over one data folder."""

    def __init__(self, folder, *flags):
        self.folder, self.flags = folder, flags
        self.begin()

    def begin(self):
        arguments = [BINARY, "dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "off", *self.flags, str(self.folder)]
        self.errors = open(self.folder / "stderr", "ab")
        self.process = subprocess.Popen(arguments, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.api = self.admin = None
        for line in self.process.stdout:
            words = line.split()
            if words[:1] == ["page"]:
                self.api = words[1].removeprefix("http://").rstrip("/")
            if words[:1] == ["metrics"]:
                self.admin = words[1].removeprefix("http://").removesuffix("/metrics")
            if self.api and self.admin:
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                # Connectors begin a moment later than its listeners.
                until("its connectors run", lambda: self.look("/admin/sinks") or self.look("/admin/sources"))
                return
        raise AssertionError(f"it did not begin: {(self.folder / 'stderr').read_text()}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        assert code == 0, f"it ended with {code}: {(self.folder / 'stderr').read_text()[-2000:]}"

    def ask(self, method, path, body=None, kind="application/json", to=None):
        connection = http.client.HTTPConnection(to or self.api, timeout=60)
        try:
            connection.request(method, path, body, {"content-type": kind} if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def write(self, rows):
        status, answer = self.ask("POST", "/v1/orders?mode=upsert", "".join(json.dumps(row) + "\n" for row in rows).encode(), "application/x-ndjson")
        equal((status, json.loads(answer).get("failed")), (200, 0))

    def look(self, path):
        return json.loads(self.ask("GET", path, to=self.admin)[1])

    def sink(self):
        return self.look("/admin/sinks")[0]

    def source(self):
        return self.look("/admin/sources")[0]

    def head(self):
        return self.look("/admin/log")["position"]

    def delivered(self):
        return until("all is delivered", lambda: (sink := self.sink())["lag_positions"] == 0 and sink)
