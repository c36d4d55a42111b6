"""GraphQL by gql: the client reads the schema by introspection and checks each document itself before it is sent."""

from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport

from lib import ADMIN_TOKEN, URL, check, fresh_key


def client(token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Client(transport=RequestsHTTPTransport(url=f"{URL}/graphql", headers=headers), fetch_schema_from_transport=True)


ADMIN = client(ADMIN_TOKEN)


def ask(document, variables=None, by=ADMIN):
    request = gql(document)
    request.variable_values = variables or {}
    return by.execute(request)


def refusal(document, by=ADMIN):
    try:
        answer = ask(document, by=by)
    except TransportQueryError as error:
        return error.errors[0]["extensions"]["code"]
    raise AssertionError(f"expected a refusal, got {answer}")


@check("a nested read")
def _():
    album = ask("{ album(id: 1) { title artist { name } tracks(first: 2) { nodes { name unitPrice } } } }")["album"]
    assert album["artist"]["name"] == "AC/DC", album
    assert album["tracks"]["nodes"][0]["unitPrice"] == "0.99", album


@check("variables, order and pages")
def _():
    document = "query Page($first: Int) { artists(first: $first, orderBy: [{ id: DESC }]) { nodes { id } pageInfo { hasNextPage } } }"
    page = ask(document, {"first": 3})["artists"]
    ids = [int(node["id"]) for node in page["nodes"]]
    assert len(ids) == 3 and ids == sorted(ids, reverse=True), page
    assert page["pageInfo"]["hasNextPage"] is True


@check("create, update, stale update, delete")
def _():
    key = fresh_key()
    made = ask(f'mutation {{ createArtist(input: {{ id: {key}, name: "one" }}) {{ artist {{ revision }} }} }}')
    revision = made["createArtist"]["artist"]["revision"]
    update = f'mutation {{ updateArtist(id: {key}, input: {{ name: "two" }}, expectedRevision: {revision}) {{ artist {{ name }} }} }}'
    assert ask(update)["updateArtist"]["artist"]["name"] == "two"
    assert refusal(update) == "REVISION_MISMATCH"
    ask(f"mutation {{ deleteArtist(id: {key}) {{ cursor }} }}")
    assert ask(f"{{ artist(id: {key}) {{ id }} }}")["artist"] is None


@check("a write without a token is refused")
def _():
    code = refusal(f'mutation {{ createArtist(input: {{ id: {fresh_key()}, name: "no" }}) {{ cursor }} }}', by=client())
    assert code in ("PERMISSION_DENIED", "UNAUTHENTICATED"), code
