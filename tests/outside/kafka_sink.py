"""The Kafka sink against a real broker that is stopped, killed and refuses, read by kafka-python: a second implementation.

The broker is that of `cargo xtask services`. `TEST_KAFKA_EVENTS` and `TEST_KAFKA_DOWN_S` say how many events are written while it is away, and for
how long; what was measured is printed.
"""

import json
import os
import pathlib
import shutil
import tempfile
import threading
import time

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from kafka_lib import Server, services, until
from lib import check, equal, finish

EVENTS = int(os.environ.get("TEST_KAFKA_EVENTS", "6000"))
DOWN_S = float(os.environ.get("TEST_KAFKA_DOWN_S", "5"))
KEYS, PARTITIONS, BATCH, COMMIT, MESSAGE_BYTES_MAX = 200, 8, 500, 100, 20_000
RUN = os.urandom(4).hex()
TOPIC, LETTERS = f"shop.order.{RUN}", f"shop.dead.{RUN}"

MODEL = """package shop.v1

entity Order {
  id     Int    @key
  number Int
  pad    String?
  @@allow(read, create, update, delete, true)
}
"""


class Writer:
    """Writes numbered rows, a commit after the other; every row is an event."""

    number = 0

    def __init__(self, server):
        self.server = server

    def write(self, count, pause=0.0):
        for begin in range(0, count, COMMIT):
            rows = []
            for _ in range(min(COMMIT, count - begin)):
                self.number += 1
                rows.append({"id": self.number % KEYS, "number": self.number})
            self.server.write(rows)
            time.sleep(pause)


def consume(topic, partitions):
    """Everything that a topic holds, by partition."""
    consumer = KafkaConsumer(bootstrap_servers=BROKER, enable_auto_commit=False, consumer_timeout_ms=30_000)
    places = [TopicPartition(topic, number) for number in range(partitions)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends, read = consumer.end_offsets(places), {place: [] for place in places}
    while any(consumer.position(place) < ends[place] for place in places):
        for place, records in consumer.poll(1_000).items():
            read[place].extend(records)
    consumer.close()
    return list(read.values())


def judge(head, but=()):
    """Each event is there, none of a key for the first time after a later one of it; how many came more than once."""
    seen, order, partition_of, last = set(), {}, {}, {}
    twice = 0
    for number, records in enumerate(consume(TOPIC, PARTITIONS)):
        for record in records:
            headers = {name: value.decode() for name, value in record.headers}
            position, key = int(headers["ce_sequence"]), record.key.decode()
            equal(partition_of.setdefault(key, number), number)
            equal(key, f"Order/{headers['ce_subject']}")
            if record.value is not None:
                event = json.loads(record.value)
                equal((event["id"], event["sequence"], event["type"]), (headers["ce_id"], str(position), headers["ce_type"]))
                last[int(event["subject"])] = event["data"]["after"]
            if position in seen:
                twice += 1
                continue
            seen.add(position)
            before = order.get(key, 0)
            assert before < position, f"{key}: {position} came for the first time after {before}"
            order[key] = position
    missing = set(range(1, head + 1)) - seen - set(but)
    assert not missing, f"{len(missing)} of {head} events are not there, the first: {sorted(missing)[:5]}"
    equal(seen - set(range(1, head + 1)), set())
    return twice, last


was_up = "is not up" not in services("status", "kafka")
BROKER = services("up", "kafka").split()[1]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="fourfold-kafka-"))
(FOLDER / "shop.fourfold").write_text(MODEL)
(FOLDER / "fourfold.toml").write_text(f"""
[[sink]]
name = "orders"
kind = "kafka"
brokers = ["{BROKER}"]
topic = "{TOPIC}"
dead_letter_topic = "{LETTERS}"
batch_events_max = {BATCH}
deliver_timeout = "2s"
backoff_max = "1s"
""")
admin = KafkaAdminClient(bootstrap_servers=BROKER)
admin.create_topics([
    NewTopic(TOPIC, num_partitions=PARTITIONS, replication_factor=1, topic_configs={"max.message.bytes": str(MESSAGE_BYTES_MAX)}),
    NewTopic(LETTERS, num_partitions=1, replication_factor=1),
])
admin.close()
server = Server(FOLDER)
writer = Writer(server)


@check("each event comes once, in order for each key, as a CloudEvent")
def _():
    begun = time.monotonic()
    writer.write(2_000)
    server.delivered()
    print(f"measured: 2000 events written and delivered in {time.monotonic() - begun:.2f} s", flush=True)
    twice, last = judge(server.head())
    equal(twice, 0)
    equal(last[7], {"id": 7, "revision": 10, "number": 1_807, "pad": None})


def away(stop):
    """The broker is stopped while events come, and more come while it is away."""
    failures = server.sink()["failures_total"]
    load = threading.Thread(target=writer.write, args=(EVENTS, DOWN_S * COMMIT / EVENTS))
    load.start()
    services(stop, "kafka")
    begun = time.monotonic()
    load.join()
    time.sleep(max(0.0, DOWN_S - (time.monotonic() - begun)))
    until("the sink says that it waits", lambda: server.sink()["state"] == "backing_off")
    lag = server.sink()["lag_positions"]
    assert lag > EVENTS / 4, f"a backlog of {lag} only"
    metrics = server.ask("GET", "/metrics", to=server.admin)[1].decode()
    assert f'fourfold_sink_lag_positions{{sink="orders"}} {lag}' in metrics, metrics
    services("up", "kafka")
    begun, before = time.monotonic(), server.sink()["watermark"]
    server.delivered()
    took, attempts = time.monotonic() - begun, server.sink()["failures_total"] - failures
    twice, _ = judge(server.head())
    print(f"measured: {stop}: backlog {lag}, drained in {took:.1f} s ({(server.head() - before) / took:.0f} events/s), "
          f"{attempts} failures, {twice} came twice in all", flush=True)
    return twice


@check("a broker that is stopped under load loses nothing, and repeats no more than was in flight")
def _():
    twice = away("down")
    assert twice <= BATCH + COMMIT, f"{twice} came twice"


@check("a broker that is killed under load loses nothing, and repeats no more than was in flight")
def _():
    twice = away("kill")
    assert twice <= 2 * (BATCH + COMMIT), f"{twice} came twice"


buried = []


@check("an event that the broker refuses goes to the dead letters, and the rest goes on")
def _():
    writer.write(COMMIT)
    for _ in range(2):
        # Random, so that no compression makes it small enough; the event after it tells the old value, and is as large.
        for pad in ({"pad": os.urandom(20_000).hex()}, {}):
            writer.number += 1
            server.write([{"id": 3, "number": writer.number, **pad}])
            buried.append(server.head())
        writer.write(3 * COMMIT)
    server.delivered()
    judge(server.head(), but=buried)
    letters = [record for records in consume(LETTERS, 1) for record in records]
    equal(sorted(json.loads(letter.value)["event"]["sequence"] for letter in letters), sorted(map(str, buried)))
    reasons = {dict(letter.headers)["fourfold_reason"].decode() for letter in letters}
    assert all("size" in reason.lower() for reason in reasons), reasons
    equal((server.sink()["dead_letters_total"], server.sink()["state"]), (4, "running"))


@check("a server that is killed in the middle loses nothing")
def _():
    for _ in range(3):
        load = threading.Thread(target=lambda: writer.write(2_000))
        load.start()
        until("it delivers", lambda: server.sink()["lag_positions"] > 0)
        load.join()
        server.kill()
        server.begin()
    server.delivered()
    twice, last = judge(server.head(), but=buried)
    print(f"measured: 3 kills: {twice} came twice in all", flush=True)
    for key in (0, 7, KEYS - 1):
        row = json.loads(server.ask("GET", f"/v1/orders/{key}")[1])
        equal(last[key], row)


@check("a server that ends in order repeats nothing")
def _():
    before, _ = judge(server.head(), but=buried)
    writer.write(500)
    server.end()
    server.begin()
    server.delivered()
    twice, _ = judge(server.head(), but=buried)
    equal(twice, before)
    server.end()


server.process.kill()
if not was_up:
    services("down", "kafka")
shutil.rmtree(FOLDER, ignore_errors=True)
finish()
