"""gRPC by grpcio: a client generated from the served .proto, reflection, health, deadlines, compression, rich errors."""

import compileall
import importlib
import importlib.resources
import pathlib
import shutil
import sys
import urllib.request

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from grpc_tools import protoc

from lib import ACDC_ALBUMS, ADMIN_TOKEN, CUSTOMER_TOKEN, HOST, PACKAGE, TRICKY_NAME, TRICKY_PRICE, URL, check, equal, finish, fresh_key

FOLDER = pathlib.Path("generated-python")
ANONYMOUS = ()
ADMIN = (("authorization", f"Bearer {ADMIN_TOKEN}"),)
CUSTOMER = (("authorization", f"Bearer {CUSTOMER_TOKEN}"),)
Code = grpc.StatusCode


def generate():
    """Compiles the served .proto and imports the two modules."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with urllib.request.urlopen(f"{URL}/schema.proto") as answer:
        (FOLDER / "schema.proto").write_bytes(answer.read())
    include = str(importlib.resources.files("grpc_tools") / "_proto")
    arguments = ["protoc", f"-I{FOLDER}", f"-I{include}", f"--python_out={FOLDER}", f"--grpc_python_out={FOLDER}", "schema.proto"]
    assert protoc.main(arguments) == 0, "protoc refuses the served .proto"
    assert compileall.compile_dir(FOLDER, quiet=1), "the generated modules do not compile"
    sys.path.insert(0, str(FOLDER))
    return importlib.import_module("schema_pb2"), importlib.import_module("schema_pb2_grpc")


def refusal(code, call, request, by=ADMIN, **options):
    """The details of a refusal by their types, its text under `message`."""
    try:
        answer = call(request, metadata=by, **options)
    except grpc.RpcError as error:
        equal((error.code(), error.details()), (code, error.details()))
        return unpack(error)
    raise AssertionError(f"expected {code}, got {answer}")


def unpack(error):
    details = {"message": error.details()}
    for any in getattr(rpc_status.from_call(error), "details", []):
        kind = getattr(error_details_pb2, any.type_url.rpartition(".")[2])
        details[kind.DESCRIPTOR.name] = kind.FromString(any.value)
    return details


pb2, pb2_grpc = generate()
channel = grpc.insecure_channel(HOST)
artists = pb2_grpc.ArtistServiceStub(channel)
albums = pb2_grpc.AlbumServiceStub(channel)
tracks = pb2_grpc.TrackServiceStub(channel)
customers = pb2_grpc.CustomerServiceStub(channel)
employees = pb2_grpc.EmployeeServiceStub(channel)
invoices = pb2_grpc.InvoiceServiceStub(channel)


def get(key, by=ADMIN):
    return artists.GetArtist(pb2.GetArtistRequest(id=key), metadata=by)


def create(by=ADMIN, request_id=None, **fields):
    return artists.CreateArtist(pb2.CreateArtistRequest(artist=pb2.Artist(**fields), request_id=request_id), metadata=by)


def renaming(key, name, etag=None):
    return pb2.UpdateArtistRequest(artist=pb2.Artist(id=key, name=name), etag=etag, update_mask={"paths": ["name"]})


def update(*arguments):
    return artists.UpdateArtist(renaming(*arguments), metadata=ADMIN)


def delete(key, etag=None):
    return artists.DeleteArtist(pb2.DeleteArtistRequest(id=key, etag=etag), metadata=ADMIN)


@check("a row is read by its key")
def _():
    equal(get(1, ANONYMOUS), pb2.Artist(id=1, revision=1, name="AC/DC"))


@check("pages follow one another to the end")
def _():
    pages, token = [], ""
    while len(pages) < 5:
        page = albums.ListAlbums(pb2.ListAlbumsRequest(page_size=4, page_token=token, filter="id <= 10"))
        pages.append([album.id for album in page.albums])
        token = page.next_page_token
        if not token:
            break
    equal(pages, [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]])


@check("a filter reaches over a relation")
def _():
    page = albums.ListAlbums(pb2.ListAlbumsRequest(filter='artist.name == "AC/DC"', order_by="title"))
    equal([album.title for album in page.albums], ACDC_ALBUMS)


@check("a related row is read along")
def _():
    album = albums.GetAlbum(pb2.GetAlbumRequest(id=1, read_mask={"paths": ["title", "artist.name"]}))
    equal((album.title, album.artist), (ACDC_ALBUMS[0], pb2.Artist(id=1, revision=1, name="AC/DC")))


@check("a sum is over the rows the caller may see")
def _():
    request = pb2.AggregateInvoicesRequest(count=["*"], sum=["total"])
    answers = [invoices.AggregateInvoices(request, metadata=by) for by in (CUSTOMER, ANONYMOUS, ADMIN)]
    groups = [answer.groups[0] for answer in answers]
    equal([(group.count, group.sum.total) for group in groups], [(7, "39.62"), (0, ""), (412, "2328.60")])
    assert not groups[1].sum.HasField("total"), "no rows have no sum"


@check("a row is created, updated and deleted")
def _():
    key = fresh_key()
    equal(create(id=key, name="one"), pb2.Artist(id=key, revision=1, name="one"))
    equal(update(key, "two", "1"), pb2.Artist(id=key, revision=2, name="two"))
    equal(get(key, ANONYMOUS).name, "two")
    delete(key, "2")
    refusal(Code.NOT_FOUND, artists.GetArtist, pb2.GetArtistRequest(id=key))


@check("text and decimals come back as they went in")
def _():
    track = pb2.Track(name=TRICKY_NAME, unit_price=TRICKY_PRICE, media_type_id=1, milliseconds=1)
    key = tracks.CreateTrack(pb2.CreateTrackRequest(track=track), metadata=ADMIN).id
    back = tracks.GetTrack(pb2.GetTrackRequest(id=key))
    equal((back.name, back.unit_price), (TRICKY_NAME, TRICKY_PRICE))
    tracks.DeleteTrack(pb2.DeleteTrackRequest(id=key), metadata=ADMIN)


@check("a write sent twice under one key is done once")
def _():
    name = f"once-{fresh_key()}"
    one, two = (create(request_id=name, name=name) for _ in range(2))
    equal(two, one)
    equal(len(artists.ListArtists(pb2.ListArtistsRequest(filter=f'name == "{name}"')).artists), 1)
    other = pb2.CreateArtistRequest(artist=pb2.Artist(name="other"), request_id=name)
    equal(refusal(Code.FAILED_PRECONDITION, artists.CreateArtist, other)["ErrorInfo"].reason, "IDEMPOTENCY_MISMATCH")
    delete(one.id)


@check("a stale revision is refused")
def _():
    key = fresh_key()
    create(id=key, name="one")
    update(key, "two", "1")
    details = refusal(Code.ABORTED, artists.UpdateArtist, renaming(key, "three", "1"))
    equal(details["ErrorInfo"].reason, "REVISION_MISMATCH")
    equal(get(key).name, "two")
    delete(key)


@check("a missing row is not found")
def _():
    info = refusal(Code.NOT_FOUND, artists.GetArtist, pb2.GetArtistRequest(id=99_999_999))["ErrorInfo"]
    equal((info.reason, info.domain), ("NOT_FOUND", PACKAGE))


@check("an unknown field in a filter is named")
def _():
    details = refusal(Code.INVALID_ARGUMENT, artists.ListArtists, pb2.ListArtistsRequest(filter="nmae == 1"))
    assert "nmae" in details["message"], details


@check("a value too long is refused with its field")
def _():
    request = pb2.CreateAlbumRequest(album=pb2.Album(title="x" * 161, artist_id=1))
    details = refusal(Code.INVALID_ARGUMENT, albums.CreateAlbum, request)
    equal([violation.field for violation in details["BadRequest"].field_violations], ["title"])


@check("a token that is none is refused")
def _():
    refusal(Code.UNAUTHENTICATED, artists.GetArtist, pb2.GetArtistRequest(id=1), by=(("authorization", "Bearer not.a.token"),))


@check("an anonymous write is refused")
def _():
    request = pb2.CreateArtistRequest(artist=pb2.Artist(name="no"))
    equal(refusal(Code.PERMISSION_DENIED, artists.CreateArtist, request, by=ANONYMOUS)["ErrorInfo"].reason, "PERMISSION_DENIED")


@check("hidden rows do not exist for others")
def _():
    for by in (ANONYMOUS, CUSTOMER):
        refusal(Code.NOT_FOUND, customers.GetCustomer, pb2.GetCustomerRequest(id=2), by=by)
    equal(customers.GetCustomer(pb2.GetCustomerRequest(id=2), metadata=ADMIN).id, 2)
    pages = [customers.ListCustomers(pb2.ListCustomersRequest(page_size=100), metadata=by) for by in (ANONYMOUS, CUSTOMER, ADMIN)]
    equal([len(page.customers) for page in pages], [0, 1, 59])


@check("a masked field is null and cannot be asked for")
def _():
    masked, seen = (employees.GetEmployee(pb2.GetEmployeeRequest(id=3), metadata=by) for by in (CUSTOMER, ADMIN))
    equal((masked.phone, masked.HasField("hire_date")), ("+1 (403) 262-3443", False))
    equal(seen.hire_date.ToJsonString()[:10], "2002-04-01")
    request = pb2.ListEmployeesRequest(filter="hire_date != null")
    equal([len(employees.ListEmployees(request, metadata=by).employees) for by in (CUSTOMER, ADMIN)], [0, 8])


@check("clearing by the mask")
def _():
    key = fresh_key()
    create(id=key, name="one")
    assert not update(key, None).HasField("name")
    delete(key)


@check("gzip both ways")
def _():
    page = artists.ListArtists(pb2.ListArtistsRequest(page_size=200), compression=grpc.Compression.Gzip)
    equal(len(page.artists), 200)


@check("a deadline that has passed ends a watch")
def _():
    seconds = 0.2
    genres = pb2_grpc.GenreServiceStub(channel)
    refusal(Code.DEADLINE_EXCEEDED, lambda *given, **options: list(genres.WatchGenres(*given, **options)), pb2.WatchGenresRequest(), timeout=seconds)


@check("an unknown method")
def _():
    call = channel.unary_unary(f"/{PACKAGE}.ArtistService/Nothing", request_serializer=bytes, response_deserializer=bytes)
    refusal(Code.UNIMPLEMENTED, call, b"")


@check("reflection lists the services and their files")
def _():
    database = ProtoReflectionDescriptorDatabase(channel)
    services = database.get_services()
    assert f"{PACKAGE}.ArtistService" in services and "grpc.health.v1.Health" in services, services
    service = DescriptorPool(database).FindServiceByName(f"{PACKAGE}.ArtistService")
    equal(service.FindMethodByName("GetArtist").output_type.full_name, f"{PACKAGE}.Artist")


@check("health is SERVING")
def _():
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", f"{PACKAGE}.ArtistService"):
        equal(health.Check(health_pb2.HealthCheckRequest(service=service)).status, health_pb2.HealthCheckResponse.SERVING)
    refusal(Code.NOT_FOUND, health.Check, health_pb2.HealthCheckRequest(service="none"))


finish()
