"""`examples/django`: Django's ORM and its admin write, and every change is read from all four APIs and from Kafka.

PostgreSQL and the broker are those of `cargo xtask services`. Django runs in this process, over its own migrations; Fourfold is a process of its own
beside it and shares nothing with it but the database.
"""

import http.client
import importlib
import importlib.resources
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import grpc
from grpc_tools import protoc
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from websockets.sync.client import connect

from lib import check, equal, finish

BINARY, XTASK, EXAMPLES = os.environ["FOURFOLD_KAFKA_BIN"], os.environ["FOURFOLD_XTASK"], os.environ["FOURFOLD_EXAMPLES"]
# Of our own settings nothing may come from the environment.
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith("FOURFOLD_")}
RUN = os.urandom(4).hex()
DATABASE, TOPIC = f"webshop_{RUN}", f"shop.changes.{RUN}"
PATIENCE_S = 60
STAFF = '{"sub": "django-suite", "roles": ["staff"]}'
# Each entity by its path and by its names in GraphQL and gRPC.
ENTITIES = {"Customer": "customers", "Product": "products", "Order": "orders", "OrderLine": "order_lines"}


def services(*arguments):
    ran = subprocess.run([XTASK, "services", *arguments], env=ENVIRONMENT, capture_output=True, text=True)
    assert ran.returncode == 0, f"services {arguments}: {ran.stdout}{ran.stderr}"
    return ran.stdout


def fourfold(*arguments):
    ran = subprocess.run([BINARY, *arguments], env={**ENVIRONMENT, "FOURFOLD_STORE_URL": STORE}, cwd=HOME, capture_output=True, text=True)
    assert ran.returncode == 0, f"fourfold {arguments}: {ran.stdout}{ran.stderr}"
    return ran.stdout


# Both are up before, or are put down again.
were_up = {name: "is not up" not in services("status", name) for name in ("postgres", "kafka")}
server_url = urllib.parse.urlsplit(services("up", "postgres").split()[1])
BROKER = services("up", "kafka").split()[1]
STORE = f"postgres://{server_url.username}@{server_url.hostname}:{server_url.port}/{DATABASE}?sslmode=disable"
HOME = pathlib.Path(tempfile.mkdtemp(prefix="fourfold-django-"))
PROJECT = HOME / "django"
shutil.copytree(pathlib.Path(EXAMPLES) / "django", PROJECT, ignore=shutil.ignore_patterns("__pycache__", ".fourfold"))
os.environ.update(PGHOST=server_url.hostname, PGPORT=str(server_url.port), PGUSER=server_url.username, PGDATABASE=DATABASE)
os.environ["DJANGO_SETTINGS_MODULE"] = "webshop.settings"
sys.path.insert(0, str(PROJECT))
sys.dont_write_bytecode = True

import django  # noqa: E402
import psycopg  # noqa: E402

with psycopg.connect(host=server_url.hostname, port=server_url.port, user=server_url.username, dbname="postgres", autocommit=True) as session:
    session.execute(f'CREATE DATABASE "{DATABASE}"')
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.test import Client  # noqa: E402

call_command("migrate", verbosity=0)
from shop.models import Customer, Order, OrderLine, Product  # noqa: E402

admin = KafkaAdminClient(bootstrap_servers=BROKER)
admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
admin.close()
(PROJECT / "fourfold.toml").write_text(f"""
[[sink]]
name = "changes"
kind = "kafka"
brokers = ["{BROKER}"]
topic = "{TOPIC}"
claims = {{ sub = "sink", roles = ["staff"] }}
""")


@check("all of Django's tables have a form in a model, and only what it asks of rows is left out")
def _():
    told = fourfold("import", STORE, "--out", "whole", "--in-place", "--capture")
    assert "with 14 entities" in told, told
    notes = sorted(line for line in told.splitlines() if line.startswith("note: "))
    equal(notes, [f"note: `{table}` has CHECK, which was left out" for table in ("django_admin_log", "shop_orderline")])


@check("the example's model adopts the shop's tables and adds a revision to each")
def _():
    steps = [line for line in fourfold("migrate", "plan", "django").splitlines() if not line.startswith(" ")]
    equal(len(steps), 9)
    equal(steps[0], "adopt table `shop_customer`, which is there: add column `revision`")
    equal(fourfold("migrate", "apply", "django").splitlines()[-1], "8 steps done")
    assert all("revision" not in {field.name for field in model._meta.fields} for model in (Customer, Product, Order, OrderLine))
    equal(call_command("makemigrations", "shop", check_changes=True, verbosity=0), None)


class Server:
    """`fourfold dev` over Django's database."""

    def __init__(self):
        self.errors = open(HOME / "stderr", "ab")
        arguments = [BINARY, "dev", "--listen", "127.0.0.1:0", "--admin", "off", "--log", "off", "django"]
        environment = {**ENVIRONMENT, "FOURFOLD_STORE_URL": STORE}
        self.process = subprocess.Popen(arguments, env=environment, cwd=HOME, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        for line in self.process.stdout:
            words = line.split()
            if words[:1] == ["page"]:
                self.host = words[1].removeprefix("http://").rstrip("/")
                break
        else:
            raise AssertionError(f"it did not begin: {(HOME / 'stderr').read_text()}")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        self.token = fourfold("token", "dev", "--claims", STAFF, "--data", "django/.fourfold").strip()

    def ask(self, method, path, body=None, **headers):
        link = http.client.HTTPConnection(self.host, timeout=PATIENCE_S)
        try:
            headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json", **headers}
            link.request(method, path, None if body is None else json.dumps(body), headers)
            answer = link.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            link.close()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        equal(self.process.wait(PATIENCE_S), 0)


server = Server()
BEARER = {"authorization": f"Bearer {server.token}"}


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class Reader(threading.Thread):
    """Reads the changes of one entity by one API into a queue: (change, key, revision, row)."""

    def __init__(self, api, entity):
        super().__init__(daemon=True)
        self.entity, self.plural, self.told, self.ready = entity, ENTITIES[entity], queue.Queue(), threading.Event()
        self.read = getattr(self, api)

    def run(self):
        try:
            self.read()
        except Exception as error:  # noqa: BLE001, told to whoever waits
            self.told.put(error)
        finally:
            self.ready.set()

    def put(self, change, key, revision, item):
        if change in ("entered", "changed", "left"):
            self.told.put((change, str(key), None if change == "left" else int(revision), item))

    def blocks(self, method, path, body=None):
        link = http.client.HTTPConnection(server.host, timeout=600)
        link.request(method, path, body, {**BEARER, "accept": "text/event-stream", "content-type": "application/json"})
        answer = link.getresponse()
        equal((answer.status, answer.getheader("content-type", "").split(";")[0]), (200, "text/event-stream"))
        self.ready.set()
        block = {}
        while line := answer.readline():
            name, _, text = line.decode().rstrip("\n").partition(": ")
            if name:
                block[name] = text
            elif block:
                yield block
                block = {}

    def rest(self):
        for block in self.blocks("GET", f"/v1/{self.plural}"):
            if block.get("event") in ("entered", "changed", "left"):
                told = json.loads(block["data"])
                self.put(block["event"], told["key"], told.get("revision"), told.get("item"))

    def graphql(self):
        one = self.entity[0].lower() + self.entity[1:]
        query = f"subscription {{ {one}Changes {{ change key revision item {{ id revision }} }} }}"
        for block in self.blocks("POST", "/graphql", json.dumps({"query": query})):
            if block.get("event") == "next":
                told = json.loads(block["data"])["data"][f"{one}Changes"]
                self.put(told["change"].lower(), told["key"], told["revision"], told["item"])

    def grpc(self):
        plural = "".join(word.capitalize() for word in self.plural.split("_"))
        stub = getattr(pb2_grpc, f"{self.entity}ServiceStub")(CHANNEL)
        kinds = getattr(pb2, f"Watch{plural}Response")
        told_of = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in self.entity).strip("_")
        stream = getattr(stub, f"Watch{plural}")(getattr(pb2, f"Watch{plural}Request")(), metadata=tuple(BEARER.items()))
        stream.initial_metadata()
        self.ready.set()
        for told in stream:
            item = getattr(told, told_of)
            self.put(kinds.Change.Name(told.change).removeprefix("CHANGE_").lower(), told.id, told.revision, item)

    def websocket(self):
        with connect(f"ws://{server.host}/connection/websocket") as socket:
            socket.send(json.dumps({"id": 1, "connect": {"token": server.token}}))
            socket.send(json.dumps({"id": 2, "subscribe": {"channel": self.plural}}))
            for frame in socket:
                for line in frame.splitlines():
                    message = json.loads(line)
                    assert "error" not in message, message
                    if message == {}:
                        socket.send("{}")
                    if message.get("id") == 2:
                        self.ready.set()
                    if "pub" in message.get("push", {}):
                        told = message["push"]["pub"]["data"]
                        self.put(told["change"], told["key"], told.get("revision"), told.get("item"))


def generate():
    """The client of gRPC, from the served .proto."""
    folder = HOME / "generated"
    folder.mkdir()
    with urllib.request.urlopen(f"http://{server.host}/schema.proto") as answer:
        (folder / "schema.proto").write_bytes(answer.read())
    include = str(importlib.resources.files("grpc_tools") / "_proto")
    arguments = ["protoc", f"-I{folder}", f"-I{include}", f"--python_out={folder}", f"--grpc_python_out={folder}", "schema.proto"]
    assert protoc.main(arguments) == 0, "protoc refuses the served .proto"
    sys.path.insert(0, str(folder))
    return importlib.import_module("schema_pb2"), importlib.import_module("schema_pb2_grpc")


pb2, pb2_grpc = generate()
CHANNEL = grpc.insecure_channel(server.host)
APIS = ("rest", "graphql", "grpc", "websocket")
readers = {(api, entity): Reader(api, entity) for api in APIS for entity in ENTITIES}
for reader in readers.values():
    reader.start()
for (api, entity), reader in readers.items():
    assert reader.ready.wait(PATIENCE_S), f"{api} of {entity} did not begin"

consumer = KafkaConsumer(bootstrap_servers=BROKER, enable_auto_commit=False)
consumer.assign([TopicPartition(TOPIC, 0)])
consumer.seek_to_beginning()
KINDS = {"created": "entered", "updated": "changed", "deleted": "left"}


def sunk(count):
    """The next events of the topic, one for each change."""
    found, begun = [], time.monotonic()
    while len(found) < count:
        assert time.monotonic() - begun < PATIENCE_S, f"Kafka has {len(found)} of {count}: {found}"
        for records in consumer.poll(200, max_records=count - len(found)).values():
            for record in records:
                headers = {name: value.decode() for name, value in record.headers}
                _, _, entity, kind = headers["ce_type"].split(".")
                event = json.loads(record.value) if record.value else None
                after = event["data"]["after"] if event and kind != "deleted" else None
                found.append((entity, KINDS[kind], headers["ce_subject"], after and after["revision"], event))
    return found


def told(*expected):
    """Each reader is told these changes, of its entity, in this order and no others; then Kafka is, of all of them in one."""
    for (api, entity), reader in readers.items():
        for change in [change for change in expected if change[0] == entity]:
            try:
                found = reader.told.get(timeout=PATIENCE_S)
            except queue.Empty:
                raise AssertionError(f"{api} was never told of {change}") from None
            if isinstance(found, Exception):
                raise found
            equal((api, entity, *found[:3]), (api, *change))
    events = sunk(len(expected))
    equal([event[:4] for event in events], list(expected))
    for (api, entity), reader in readers.items():
        assert reader.told.empty(), f"{api} was told more of {entity}: {reader.told.get()}"
    return [event[4] for event in events]


def commits(events):
    return len({event["data"]["commit_last"] for event in events if event and event.get("data")})


@check("what the ORM saves, changes and deletes is told by all four APIs and Kafka")
def _():
    ann = Customer.objects.create(name="Ann", email="ann@example.org")
    lamp = Product.objects.create(title="Lamp – «hell»", price="12.50", stock=3, details={"b": [1, None], "a": "ü"})
    events = told(("Customer", "entered", str(ann.pk), 1), ("Product", "entered", str(lamp.pk), 1))
    equal(events[1]["data"]["after"]["price"], "12.50")
    equal(events[1]["data"]["after"]["details"], {"b": [1, None], "a": "ü"})
    lamp.stock = 2
    lamp.save()
    events = told(("Product", "changed", str(lamp.pk), 2))
    equal((events[0]["data"]["changed"], events[0]["data"]["after"]["stock"]), ({"stock": 3}, 2))
    lamp.save()
    Product.objects.filter(pk=lamp.pk).update(stock=models.F("stock") - 1)
    told(("Product", "changed", str(lamp.pk), 3))  # Saved as it was, it is no change.
    Product.objects.all().delete()
    told(("Product", "left", str(lamp.pk), None))
    equal(server.ask("GET", f"/v1/products/{lamp.pk}")[0], 404)


@check("a transaction of the ORM is one commit, and what it rolls back is nothing")
def _():
    ann = Customer.objects.get()
    lamp, desk = Product.objects.bulk_create([Product(title="Lamp", price=1, stock=5), Product(title="Desk", price=2, stock=5)])
    told(("Product", "entered", str(lamp.pk), 1), ("Product", "entered", str(desk.pk), 1))
    with transaction.atomic():
        order = Order.objects.create(customer=ann)
        OrderLine.objects.create(order=order, product=lamp, quantity=1, price=lamp.price)
        try:
            with transaction.atomic():
                Product.objects.update(stock=0)
                OrderLine.objects.create(order=order, product=lamp, quantity=9, price=lamp.price)
        except IntegrityError:
            pass
        Product.objects.filter(pk=lamp.pk).update(stock=4)
    line = OrderLine.objects.get()
    events = told(("Order", "entered", str(order.pk), 1), ("OrderLine", "entered", str(line.pk), 1), ("Product", "changed", str(lamp.pk), 2))
    equal(commits(events), 1)

    class Stop(Exception):
        pass

    try:
        with transaction.atomic():
            Order.objects.update(state="paid")
            OrderLine.objects.all().delete()
            Product.objects.create(title="never", price=1)
            raise Stop
    except Stop:
        pass
    order.note = "after what was rolled back"
    order.save(update_fields=["note"])
    told(("Order", "changed", str(order.pk), 2))


@check("what Django takes along when it deletes is told too")
def _():
    order, line = Order.objects.get(), OrderLine.objects.get()
    keys = str(line.pk), str(order.pk)
    order.delete()
    told(("OrderLine", "left", keys[0], None), ("Order", "left", keys[1], None))


@check("the admin adds, changes and deletes, and each is told")
def _():
    User.objects.create_superuser("staff", password="staff")
    browser = Client(SERVER_NAME="localhost")
    assert browser.login(username="staff", password="staff")

    def post(path, **form):
        answer = browser.post(f"/admin/shop/{path}", form)
        assert answer.status_code == 302, (path, answer.status_code, answer.content[-600:])

    post("product/add/", title="Chair", price="49.90", stock="7", details="{}", active="on")
    chair = Product.objects.get(title="Chair")
    events = told(("Product", "entered", str(chair.pk), 1))
    equal(events[0]["data"]["after"]["price"], "49.90")
    post(f"product/{chair.pk}/change/", title="Armchair", price="59.90", stock="7", details='{"arms": 2}', active="on")
    events = told(("Product", "changed", str(chair.pk), 2))
    equal(events[0]["data"]["changed"], {"title": "Chair", "price": "49.90", "details": {}})
    lines = {"lines-TOTAL_FORMS": "1", "lines-INITIAL_FORMS": "0", "lines-MIN_NUM_FORMS": "0", "lines-MAX_NUM_FORMS": "1000"}
    line = {"lines-0-product": str(chair.pk), "lines-0-quantity": "2", "lines-0-price": "59.90"}
    customer = Customer.objects.get()
    post("order/add/", customer=str(customer.pk), state="placed", note="", **lines, **line)
    order = Order.objects.get()
    events = told(("Order", "entered", str(order.pk), 1), ("OrderLine", "entered", str(order.lines.get().pk), 1))
    equal(commits(events), 1)
    post(f"order/{order.pk}/delete/", post="yes")
    told(("OrderLine", "left", str(events[1]["subject"]), None), ("Order", "left", str(order.pk), None))
    post("product/", action="delete_selected", _selected_action=str(chair.pk), post="yes")
    told(("Product", "left", str(chair.pk), None))


@check("what Fourfold writes Django reads, and it is told once")
def _():
    status, made = server.ask("POST", "/v1/customers", {"name": "Bo", "email": "bo@example.org"})
    equal(status, 201)
    bo = Customer.objects.get(pk=made["id"])
    equal((bo.name, bo.email), ("Bo", "bo@example.org"))
    # Both number their rows by one sequence.
    cy = Customer.objects.create(name="Cy", email="cy@example.org")
    equal(cy.pk > bo.pk, True)
    told(("Customer", "entered", str(bo.pk), 1), ("Customer", "entered", str(cy.pk), 1))
    status, _ = server.ask("POST", "/v1/customers", {"name": "Bo", "email": "bo@example.org"})
    equal(status, 409)
    status, order = server.ask("POST", "/v1/orders", {"customer_id": made["id"]})
    equal((status, order["state"]), (201, "placed"))
    desk = Product.objects.get(title="Desk")
    status, line = server.ask("POST", "/v1/order_lines", {"order_id": order["id"], "product_id": str(desk.pk), "quantity": 1, "price": "2.00"})
    equal(status, 201)
    equal(OrderLine.objects.get(pk=line["id"]).order.customer, bo)
    told(("Order", "entered", order["id"], 1), ("OrderLine", "entered", line["id"], 1))
    equal(server.ask("DELETE", f"/v1/orders/{order['id']}")[0], 204)
    equal(OrderLine.objects.count(), 0)
    told(("Order", "left", order["id"], None), ("OrderLine", "left", line["id"], None))


@check("a write that has not seen what Django wrote is refused")
def _():
    desk = Product.objects.get(title="Desk")
    _, seen = server.ask("GET", f"/v1/products/{desk.pk}")
    Product.objects.filter(pk=desk.pk).update(stock=1)
    path, patch = f"/v1/products/{desk.pk}", {"stock": 9}
    merge = {"content-type": "application/merge-patch+json"}
    equal(server.ask("PATCH", path, patch, **merge, **{"if-match": f'"{seen["revision"]}"'})[0], 412)
    equal(server.ask("PATCH", path, patch, **merge, **{"if-match": f'"{seen["revision"] + 1}"'})[0], 200)
    desk.refresh_from_db()
    equal(desk.stock, 9)
    told(("Product", "changed", str(desk.pk), 2), ("Product", "changed", str(desk.pk), 3))


@check("many rows of one statement arrive, each once, by every reader")
def _():
    begun = time.monotonic()
    made = Product.objects.bulk_create([Product(title=f"p{number}", price=number, stock=number) for number in range(400)])
    told(*[("Product", "entered", str(product.pk), 1) for product in made])
    print(f"measured: 400 rows of one statement told by 4 APIs and Kafka in {time.monotonic() - begun:.2f} s", flush=True)


connection.close()
server.end()
consumer.close()
with psycopg.connect(host=server_url.hostname, port=server_url.port, user=server_url.username, dbname="postgres", autocommit=True) as session:
    session.execute(f'DROP DATABASE "{DATABASE}" WITH (FORCE)')
for name, was_up in were_up.items():
    if not was_up:
        services("down", name)
shutil.rmtree(HOME, ignore_errors=True)
finish()
