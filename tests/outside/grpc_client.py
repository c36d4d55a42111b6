"""gRPC by grpcio: a client generated from the served .proto, reflection, health, deadlines, compression, rich errors."""

import importlib
import importlib.resources
import pathlib
import sys
import urllib.request

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_tools import protoc

from lib import ADMIN_TOKEN, HOST, PACKAGE, URL, check, fresh_key

FOLDER = pathlib.Path("generated-python")
ADMIN = (("authorization", f"Bearer {ADMIN_TOKEN}"),)


def generate():
    """Compiles the served .proto and imports the two modules."""
    FOLDER.mkdir(exist_ok=True)
    with urllib.request.urlopen(f"{URL}/schema.proto") as answer:
        (FOLDER / "schema.proto").write_bytes(answer.read())
    include = str(importlib.resources.files("grpc_tools") / "_proto")
    arguments = ["protoc", f"-I{FOLDER}", f"-I{include}", f"--python_out={FOLDER}", f"--grpc_python_out={FOLDER}", "schema.proto"]
    assert protoc.main(arguments) == 0, "protoc refuses the served .proto"
    sys.path.insert(0, str(FOLDER))
    return importlib.import_module("schema_pb2"), importlib.import_module("schema_pb2_grpc")


def refusal(call, code):
    try:
        answer = call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} {error.details()}"
        return error
    raise AssertionError(f"expected {code}, got {answer}")


pb2, pb2_grpc = generate()
channel = grpc.insecure_channel(HOST)
artists = pb2_grpc.ArtistServiceStub(channel)
albums = pb2_grpc.AlbumServiceStub(channel)


@check("get")
def _():
    artist = artists.GetArtist(pb2.GetArtistRequest(id=1), metadata=ADMIN)
    assert artist.name == "AC/DC" and artist.revision >= 1, artist


@check("get with a relation in the read mask")
def _():
    request = pb2.GetAlbumRequest(id=1)
    request.read_mask.paths.extend(["title", "artist.name"])
    album = albums.GetAlbum(request, metadata=ADMIN)
    assert album.artist.name == "AC/DC" and album.title, album


@check("list, pages to the end")
def _():
    seen, token = [], ""
    while True:
        page = artists.ListArtists(pb2.ListArtistsRequest(page_size=100, page_token=token, filter="id <= 275"), metadata=ADMIN)
        seen += [artist.id for artist in page.artists]
        token = page.next_page_token
        if not token:
            break
    assert seen == list(range(1, 276)), len(seen)


@check("create, update by mask, stale etag, delete")
def _():
    key = fresh_key()
    made = artists.CreateArtist(pb2.CreateArtistRequest(artist=pb2.Artist(id=key, name="one")), metadata=ADMIN)
    update = pb2.UpdateArtistRequest(artist=pb2.Artist(id=key, name="two"), etag=str(made.revision))
    update.update_mask.paths.append("name")
    changed = artists.UpdateArtist(update, metadata=ADMIN)
    assert changed.name == "two" and changed.revision > made.revision, changed
    refusal(lambda: artists.UpdateArtist(update, metadata=ADMIN), grpc.StatusCode.ABORTED)
    artists.DeleteArtist(pb2.DeleteArtistRequest(id=key, etag=str(changed.revision)), metadata=ADMIN)
    refusal(lambda: artists.GetArtist(pb2.GetArtistRequest(id=key), metadata=ADMIN), grpc.StatusCode.NOT_FOUND)


@check("an empty etag asks for nothing; clearing by the mask")
def _():
    key = fresh_key()
    artists.CreateArtist(pb2.CreateArtistRequest(artist=pb2.Artist(id=key, name="one")), metadata=ADMIN)
    update = pb2.UpdateArtistRequest(artist=pb2.Artist(id=key))
    update.update_mask.paths.append("name")
    changed = artists.UpdateArtist(update, metadata=ADMIN)
    assert not changed.HasField("name"), changed
    artists.DeleteArtist(pb2.DeleteArtistRequest(id=key), metadata=ADMIN)


@check("a refusal carries its reason")
def _():
    error = refusal(lambda: artists.GetArtist(pb2.GetArtistRequest(id=99_999_999), metadata=ADMIN), grpc.StatusCode.NOT_FOUND)
    details = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
    assert b"NOT_FOUND" in details and PACKAGE.encode() in details, details


@check("an invalid filter is INVALID_ARGUMENT")
def _():
    request = pb2.ListArtistsRequest(filter="nmae == 1")
    error = refusal(lambda: artists.ListArtists(request, metadata=ADMIN), grpc.StatusCode.INVALID_ARGUMENT)
    assert "nmae" in error.details(), error.details()


@check("a write without a token is refused")
def _():
    request = pb2.CreateArtistRequest(artist=pb2.Artist(id=fresh_key(), name="no"))
    try:
        artists.CreateArtist(request)
    except grpc.RpcError as error:
        assert error.code() in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED), error
    else:
        raise AssertionError("it was created")


@check("gzip both ways")
def _():
    page = artists.ListArtists(pb2.ListArtistsRequest(page_size=200), metadata=ADMIN, compression=grpc.Compression.Gzip)
    assert len(page.artists) == 200


@check("a deadline that has passed")
def _():
    refusal(lambda: artists.ListArtists(pb2.ListArtistsRequest(), metadata=ADMIN, timeout=0.000001), grpc.StatusCode.DEADLINE_EXCEEDED)


@check("an unknown method")
def _():
    call = channel.unary_unary(f"/{PACKAGE}.ArtistService/Nothing", request_serializer=bytes, response_deserializer=bytes)
    refusal(lambda: call(b"", metadata=ADMIN), grpc.StatusCode.UNIMPLEMENTED)


@check("reflection lists the services and their files")
def _():
    database = ProtoReflectionDescriptorDatabase(channel)
    services = database.get_services()
    assert f"{PACKAGE}.ArtistService" in services and "grpc.health.v1.Health" in services, services
    service = DescriptorPool(database).FindServiceByName(f"{PACKAGE}.ArtistService")
    assert service.FindMethodByName("GetArtist").output_type.full_name == f"{PACKAGE}.Artist"


@check("health is SERVING")
def _():
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", f"{PACKAGE}.ArtistService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, (service, answer)
    refusal(lambda: health.Check(health_pb2.HealthCheckRequest(service="none")), grpc.StatusCode.NOT_FOUND)
