"""GraphQL by gql: the client reads the schema by introspection and checks each document itself before it is sent."""

from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport

from lib import ACDC_ALBUMS, ADMIN_TOKEN, CUSTOMER_TOKEN, TRICKY_NAME, TRICKY_PRICE, URL, check, equal, finish, fresh_key


def client(token=None, **headers):
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return Client(transport=RequestsHTTPTransport(url=f"{URL}/graphql", headers=headers), fetch_schema_from_transport=True)


ADMIN = client(ADMIN_TOKEN)
CUSTOMER = client(CUSTOMER_TOKEN)
ANONYMOUS = client()


def ask(document, by=ANONYMOUS, **variables):
    request = gql(document)
    request.variable_values = variables
    return by.execute(request)


def refusal(document, by=ADMIN, **variables):
    """The one error of a refused request."""
    try:
        answer = ask(document, by, **variables)
    except TransportQueryError as error:
        equal(len(error.errors), 1)
        return error.errors[0]
    raise AssertionError(f"expected a refusal, got {answer}")


def code(*arguments, **variables):
    return refusal(*arguments, **variables)["extensions"]["code"]


CREATE = "mutation ($input: ArtistCreateInput!) { createArtist(input: $input) { artist { id name revision } } }"
UPDATE = """mutation ($id: Int!, $name: String, $revision: Revision) {
  updateArtist(id: $id, input: { name: $name }, expectedRevision: $revision) { artist { name revision } }
}"""
DELETE = "mutation ($id: Int!) { deleteArtist(id: $id) { cursor } }"
NAME = "query ($id: Int!) { artist(id: $id) { name } }"


@check("a row is read by its key")
def _():
    equal(ask("{ artist(id: 1) { id name revision } }"), {"artist": {"id": 1, "name": "AC/DC", "revision": 1}})


@check("pages follow one another to the end")
def _():
    document = 'query ($after: String) { albums(filter: "id <= 10", first: 4, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }'
    pages, after, more = [], None, True
    while more and len(pages) < 5:
        page = ask(document, after=after)["albums"]
        pages.append([node["id"] for node in page["nodes"]])
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    equal(pages, [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]])


@check("a filter reaches over a relation")
def _():
    document = '{ albums(where: { artist: { name: { eq: "AC/DC" } } }, orderBy: [{ title: ASC }]) { totalCount nodes { title } } }'
    equal(ask(document)["albums"], {"totalCount": 2, "nodes": [{"title": title} for title in ACDC_ALBUMS]})


@check("a related row is read along")
def _():
    album = ask("{ album(id: 1) { artist { name } tracks(first: 2) { nodes { album { id } unitPrice } } } }")["album"]
    equal(album, {"artist": {"name": "AC/DC"}, "tracks": {"nodes": [{"album": {"id": 1}, "unitPrice": "0.99"}] * 2}})


@check("a sum is over the rows the caller may see")
def _():
    answers = [ask("{ invoicesAggregate { count sum { total } } }", by)["invoicesAggregate"][0] for by in (CUSTOMER, ANONYMOUS, ADMIN)]
    equal([(all["count"], all["sum"]["total"]) for all in answers], [(7, "39.62"), (0, None), (412, "2328.60")])


@check("a row is created, updated and deleted")
def _():
    key = fresh_key()
    equal(ask(CREATE, ADMIN, input={"id": key, "name": "one"}), {"createArtist": {"artist": {"id": key, "name": "one", "revision": 1}}})
    equal(ask(UPDATE, ADMIN, id=key, name="two", revision=1), {"updateArtist": {"artist": {"name": "two", "revision": 2}}})
    equal(ask(NAME, id=key), {"artist": {"name": "two"}})
    ask(DELETE, ADMIN, id=key)
    equal(ask(NAME, id=key), {"artist": None})


@check("text and decimals come back as they went in")
def _():
    fields = {"name": TRICKY_NAME, "unitPrice": TRICKY_PRICE, "mediaTypeId": 1, "milliseconds": 1}
    made = ask("mutation ($input: TrackCreateInput!) { createTrack(input: $input) { track { id } } }", ADMIN, input=fields)
    key = made["createTrack"]["track"]["id"]
    equal(ask("query ($id: Int!) { track(id: $id) { name unitPrice } }", id=key), {"track": {"name": TRICKY_NAME, "unitPrice": TRICKY_PRICE}})
    ask("mutation ($id: Int!) { deleteTrack(id: $id) { cursor } }", ADMIN, id=key)


@check("a write sent twice under one key is done once")
def _():
    name = f"once-{fresh_key()}"
    keyed = client(ADMIN_TOKEN, **{"Idempotency-Key": name})
    # A keyed request is one mutation, so this client shall not introspect first.
    keyed.fetch_schema_from_transport = False
    one, two = (ask(CREATE, keyed, input={"name": name}) for _ in range(2))
    equal(two, one)
    equal(ask("query ($name: String) { artists(where: { name: { eq: $name } }) { totalCount } }", name=name)["artists"]["totalCount"], 1)
    equal(code(CREATE, keyed, input={"name": "other"}), "IDEMPOTENCY_MISMATCH")
    ask(DELETE, ADMIN, id=one["createArtist"]["artist"]["id"])


@check("a stale revision is refused")
def _():
    key = fresh_key()
    ask(CREATE, ADMIN, input={"id": key, "name": "one"})
    ask(UPDATE, ADMIN, id=key, name="two", revision=1)
    equal(code(UPDATE, id=key, name="three", revision=1), "REVISION_MISMATCH")
    equal(ask(NAME, id=key), {"artist": {"name": "two"}})
    ask(DELETE, ADMIN, id=key)


@check("a missing row is not found")
def _():
    equal(ask(NAME, id=99_999_999), {"artist": None})
    equal(code(UPDATE, id=99_999_999, name="x"), "NOT_FOUND")


@check("an unknown field in a filter is named")
def _():
    error = refusal('{ artists(filter: "nmae == 1") { nodes { id } } }')
    equal(error["extensions"]["code"], "INVALID_ARGUMENT")
    assert "nmae" in error["message"], error


@check("a value too long is refused with its field")
def _():
    error = refusal("mutation ($input: AlbumCreateInput!) { createAlbum(input: $input) { cursor } }", input={"title": "x" * 161, "artistId": 1})
    equal((error["extensions"]["code"], error["extensions"]["field"], error["path"]), ("INVALID_ARGUMENT", "title", ["createAlbum"]))


@check("a token that is none is refused")
def _():
    nobody = client("not.a.token")
    nobody.fetch_schema_from_transport = False
    equal(code("{ __typename }", nobody), "UNAUTHENTICATED")


@check("an anonymous write is refused")
def _():
    equal(code(CREATE, ANONYMOUS, input={"name": "no"}), "PERMISSION_DENIED")


@check("hidden rows do not exist for others")
def _():
    answers = [ask("{ customer(id: 2) { id } customers(first: 100) { totalCount } }", by) for by in (ANONYMOUS, CUSTOMER, ADMIN)]
    seen = [(answer["customer"], answer["customers"]["totalCount"]) for answer in answers]
    equal(seen, [(None, 0), (None, 1), ({"id": 2}, 59)])


@check("a masked field is null and cannot be asked for")
def _():
    document = "{ employee(id: 3) { phone hireDate } employees(where: { hireDate: { isNull: false } }) { totalCount } }"
    equal(ask(document, CUSTOMER), {"employee": {"phone": "+1 (403) 262-3443", "hireDate": None}, "employees": {"totalCount": 0}})
    seen = ask(document, ADMIN)
    equal((seen["employee"]["hireDate"][:10], seen["employees"]["totalCount"]), ("2002-04-01", 8))


@check("the client's own schema refuses what is not in it")
def _():
    try:
        ask("{ artists { nodes { nothing } } }", ADMIN)
    except Exception as error:
        assert type(error).__name__ == "GraphQLError" and "nothing" in str(error), error
    else:
        raise AssertionError("it was sent")


finish()
