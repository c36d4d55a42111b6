"""The Kafka source against a real broker that is stopped and killed, written by kafka-python: a second implementation.

Every message is a row of its own, whose key the server makes: one that counted twice would be two rows. The broker is that of
`cargo xtask services`. `TEST_KAFKA_EVENTS` and `TEST_KAFKA_DOWN_S` say how many messages are written around a fault, and how long the broker is
away; what was measured is printed.
"""

import json
import os
import pathlib
import shutil
import tempfile
import threading
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from kafka_lib import Server, services, until
from lib import check, equal, finish

MESSAGES = int(os.environ.get("TEST_KAFKA_EVENTS", "6000"))
DOWN_S = float(os.environ.get("TEST_KAFKA_DOWN_S", "5"))
PARTITIONS = 8
RUN = os.urandom(4).hex()
ENTRIES, ORDERS, LETTERS = f"shop.in.{RUN}", f"shop.order.{RUN}", f"shop.dead.{RUN}"

MODEL = """package shop.v1

entity Entry {
  id     Int @key @default(next())
  number Int
  place  Int
  @@allow(read, create, true)
}

caller {
  sub   String   @claim("sub")
  roles String[] @claim("roles")
}

entity Order {
  id    Int     @key
  total Decimal(10,2) @min(0)
  state String  @default("cart") @readonly
  @@allow(read, true)
  @@allow(create, update, delete, "feed" in caller.roles && total < 1000)
}
"""

SETTINGS = """
[[source]]
name = "{name}"
kind = "kafka"
brokers = ["{broker}"]
topic = "{topic}"
entity = "{entity}"
mode = "{mode}"
key_prefix = "Order/"
dead_letter_topic = "{letters}"
claims = {{ sub = "{name}", roles = ["feed"] }}
session_timeout = "6s"
backoff_max = "1s"
"""


class Producer:
    """Writes numbered messages to the partitions in turn, each acknowledged and none twice."""

    number = 0

    def begin(self):
        self.kafka = KafkaProducer(bootstrap_servers=BROKER, acks="all", enable_idempotence=True, linger_ms=5, request_timeout_ms=10_000,
                                   delivery_timeout_ms=int(1_000 * (60 + 2 * DOWN_S)))
        return self

    def write(self, count, pause_s=0.0):
        sent = []
        for _ in range(count):
            place = self.number % PARTITIONS
            value = json.dumps({"number": self.number, "place": place}).encode()
            sent.append(self.kafka.send(ENTRIES, value, partition=place))
            self.number += 1
            if pause_s and self.number % 100 == 0:
                time.sleep(100 * pause_s)
        for one in sent:
            one.get(120 + 2 * DOWN_S)

    def end(self):
        self.kafka.close()


def entries():
    """Every row, by the pages of the REST API."""
    rows, after = [], ""
    while True:
        status, body = server.ask("GET", f"/v1/entries?page_size=1000{after}")
        equal(status, 200)
        page = json.loads(body)
        rows.extend((row["place"], row["number"]) for row in page["items"])
        if not page.get("next_page_token"):
            return rows
        after = f"&page_token={page['next_page_token']}"


def source(name):
    return next(one for one in server.look("/admin/sources") if one["name"] == name)


def judge(count):
    """Every message is one row, and each partition's rows were made in its order."""
    until("all is taken in", lambda: source("entries")["lag_messages"] == 0 and len(entries()) >= count)
    rows = entries()
    equal(sorted(number for _, number in rows), list(range(count)))
    for place in range(PARTITIONS):
        numbers = [number for at, number in rows if at == place]
        # Rows are listed by their keys, which count.
        equal(numbers, sorted(numbers))


def consume(topic):
    consumer = KafkaConsumer(bootstrap_servers=BROKER, enable_auto_commit=False, consumer_timeout_ms=30_000)
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    consumer.seek_to_beginning(place)
    end, read = consumer.end_offsets([place])[place], []
    while consumer.position(place) < end:
        for records in consumer.poll(1_000).values():
            read.extend(records)
    consumer.close()
    return read


was_up = "is not up" not in services("status", "kafka")
BROKER = services("up", "kafka").split()[1]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="fourfold-kafka-"))
(FOLDER / "shop.fourfold").write_text(MODEL)
(FOLDER / "fourfold.toml").write_text(
    SETTINGS.format(name="entries", broker=BROKER, topic=ENTRIES, entity="Entry", mode="create", letters=LETTERS)
    + SETTINGS.format(name="orders", broker=BROKER, topic=ORDERS, entity="Order", mode="upsert", letters=LETTERS)
)
admin = KafkaAdminClient(bootstrap_servers=BROKER)
admin.create_topics([
    NewTopic(ENTRIES, num_partitions=PARTITIONS, replication_factor=1),
    NewTopic(ORDERS, num_partitions=1, replication_factor=1),
    NewTopic(LETTERS, num_partitions=1, replication_factor=1),
])
admin.close()
server = Server(FOLDER)
producer = Producer().begin()


@check("each message becomes one row, in the order of its partition")
def _():
    begun = time.monotonic()
    producer.write(2_000)
    judge(2_000)
    print(f"measured: 2000 messages written and taken in in {time.monotonic() - begun:.2f} s", flush=True)
    metrics = server.ask("GET", "/metrics", to=server.admin)[1].decode()
    assert 'fourfold_source_taken_total{source="entries"} 2000' in metrics, metrics
    equal(source("entries")["state"], "running")


@check("rows are made, changed and deleted, also in fields that clients only read")
def _():
    send = lambda key, value: producer.kafka.send(ORDERS, value and json.dumps(value).encode(), key=f"Order/{key}".encode()).get(60)
    send(1, {"id": 1, "total": "10.50", "state": "paid"})
    send(2, {"id": 2, "total": "7"})
    send(1, {"id": 1, "total": "11.00", "state": "sent"})
    send(2, None)
    until("all is taken in", lambda: source("orders")["taken_total"] == 4)
    equal(json.loads(server.ask("GET", "/v1/orders/1")[1]), {"id": 1, "revision": 2, "total": "11.00", "state": "sent"})
    equal(server.ask("GET", "/v1/orders/2")[0], 404)


@check("what is refused goes to the dead letters with where and why, and the rest goes on")
def _():
    bad = [
        (b"no json", "invalid_argument", "not valid JSON"),
        (b'{"id":3,"total":"many"}', "invalid_argument", "/total"),
        (b'{"id":3,"total":"-1"}', "invalid_argument", "total"),
        (b'{"id":3,"total":"5000"}', "permission_denied", ""),
        (b"\xff\xfe", "invalid_argument", "not UTF-8"),
    ]
    before = source("orders")["taken_total"]
    offsets = []
    for number, (value, _, _) in enumerate(bad):
        offsets.append(producer.kafka.send(ORDERS, value, key=b"k", headers=[("trace", b"t1")]).get(60).offset)
        producer.kafka.send(ORDERS, json.dumps({"id": 100 + number, "total": "1"}).encode()).get(60)
    until("the good ones are taken in", lambda: source("orders")["taken_total"] == before + len(bad))
    letters = consume(LETTERS)
    equal(len(letters), len(bad))
    for letter, offset, (value, code, why) in zip(letters, offsets, bad):
        headers = {name: text.decode() for name, text in letter.headers}
        equal((letter.value, letter.key, headers["trace"]), (value, b"k", "t1"))
        equal((headers["fourfold_source"], headers["fourfold_topic"]), ("orders", ORDERS))
        equal((headers["fourfold_partition"], headers["fourfold_offset"], headers["fourfold_code"]), ("0", str(offset), code))
        assert why in headers["fourfold_reason"], headers
    equal((source("orders")["dead_letters_total"], source("orders")["state"]), (len(bad), "running"))


def away(stop):
    """The broker is stopped while messages come."""
    load = threading.Thread(target=producer.write, args=(MESSAGES, DOWN_S / MESSAGES))
    load.start()
    time.sleep(DOWN_S / 4)
    services(stop, "kafka")
    until("the source says that it waits", lambda: source("entries")["failures_total"] > 0)
    time.sleep(DOWN_S)
    services("up", "kafka")
    begun = time.monotonic()
    load.join()
    judge(producer.number)
    seen = source("entries")
    print(f"measured: {stop}: {producer.number} messages, all taken in {time.monotonic() - begun:.1f} s after it was back, "
          f"{seen['failures_total']} failures", flush=True)
    until("it runs", lambda: source("entries")["state"] == "running")


@check("a broker that is stopped under load loses nothing and doubles nothing")
def _():
    away("down")


@check("a broker that is killed under load loses nothing and doubles nothing")
def _():
    away("kill")


@check("a server that is killed in the middle loses nothing and doubles nothing")
def _():
    for _ in range(3):
        taken = source("entries")["taken_total"]
        load = threading.Thread(target=producer.write, args=(MESSAGES, 0.000_1))
        load.start()
        until("it takes messages in", lambda: source("entries")["taken_total"] > taken)
        server.kill()
        server.begin()
        load.join()
    judge(producer.number)
    print(f"measured: 3 kills: {producer.number} messages, each one row", flush=True)


@check("a server that ends in order goes on where it was, and takes nothing again")
def _():
    server.end()
    producer.write(100)
    server.begin()
    judge(producer.number)
    equal(source("entries")["taken_total"], 100)
    producer.end()
    server.end()


server.process.kill()
if not was_up:
    services("down", "kafka")
shutil.rmtree(FOLDER, ignore_errors=True)
finish()
