//! The whole face: documents in, JSON out, over the engine and the reference store.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod shop;
mod socket;
mod watch;

use serde_json::{Value as Json, json};
use shop::{Shop, context, shop, with_key};

const KEYS: [&str; 3] =
    ["018f2e8a-6c1b-7cc2-9d6f-0a1b2c3d4e01", "018f2e8a-6c1b-7cc2-9d6f-0a1b2c3d4e02", "018f2e8a-6c1b-7cc2-9d6f-0a1b2c3d4e03"];

/// Two artists, three albums, notes on the first of them.
async fn filled() -> Shop {
    let shop = shop().await;
    for (id, name) in [(1, "Ada"), (2, "Émile")] {
        shop.data("mutation($i: ArtistCreateInput!) { createArtist(input: $i) { artist { id } } }", json!({"i": {"id": id, "name": name}}))
            .await;
    }
    let albums = [
        json!({"id": KEYS[0], "title": "One", "price": "9.50", "artistId": 1, "tags": ["a", "b"], "lines": [{"quantity": 2, "unitPrice": "1.00"}],
            "released": "2026-01-02", "playedAt": "2026-01-02T03:04:05Z", "meta": {"k": [1]}, "cover": "AQI=", "rating": 4.5, "plays": "9007199254740993", "live": true}),
        json!({"id": KEYS[1], "title": "Two", "price": "3.25", "artistId": 1, "state": "on_sale", "released": "2026-01-20"}),
        json!({"id": KEYS[2], "title": "Straße", "artistId": 2}),
    ];
    for album in albums {
        shop.data("mutation($i: AlbumCreateInput!) { createAlbum(input: $i) { album { id } } }", json!({ "i": album })).await;
    }
    for id in [1, 2] {
        let input = json!({"id": id, "text": format!("note {id}"), "albumId": KEYS[0]});
        shop.data("mutation($i: SongNoteCreateInput!) { createSongNote(input: $i) { songNote { id } } }", json!({ "i": input })).await;
    }
    shop
}

#[tokio::test]
async fn every_type_comes_back_as_it_was_given() {
    let shop = filled().await;
    let query = "query($id: UUID!) { album(id: $id) { __typename id revision title price state tags artistId released playedAt meta cover rating plays live rank
        lines { __typename quantity unitPrice } artist { name } songNotes { nodes { id text } totalCount } } }";
    let album = &shop.data(query, json!({"id": KEYS[0]})).await["album"];
    assert_eq!(
        *album,
        json!({"__typename": "Album", "id": KEYS[0], "revision": 1, "title": "One", "price": "9.50", "state": "draft", "tags": ["a", "b"], "artistId": 1,
            "released": "2026-01-02", "playedAt": "2026-01-02T03:04:05.000000Z", "meta": {"k": [1]}, "cover": "AQI=", "rating": 4.5,
            "plays": "9007199254740993", "live": true, "rank": null, "lines": [{"__typename": "Line", "quantity": 2, "unitPrice": "1.00"}],
            "artist": {"name": "Ada"}, "songNotes": {"nodes": [{"id": 1, "text": "note 1"}, {"id": 2, "text": "note 2"}], "totalCount": 2}})
    );
    assert_eq!(shop.data(query, json!({"id": "018f2e8a-6c1b-7cc2-9d6f-0a1b2c3d4eff"})).await, json!({"album": null}));
}

#[tokio::test]
async fn filters_mean_what_they_say() {
    let shop = filled().await;
    let cases = [
        (json!({}), "One Two Straße"),
        (json!({"price": {"gte": "3.25"}}), "One Two"),
        (json!({"price": {"gt": "3.25", "lt": "100"}}), "One"),
        (json!({"price": {"ne": "9.50"}}), "Two"),
        (json!({"price": {"isNull": true}}), "Straße"),
        (json!({"price": {"isNull": false}}), "One Two"),
        (json!({"not": {"price": {"eq": "9.50"}}}), "Two"),
        (json!({"title": {"in": ["One", "Straße", "None"]}}), "One Straße"),
        (json!({"title": {"in": []}}), ""),
        (json!({"title": {"notIn": ["One"]}}), "Two Straße"),
        (json!({"title": {"contains": "raß"}}), "Straße"),
        (json!({"title": {"icontains": "STRA"}}), "Straße"),
        (json!({"title": {"startsWith": "T"}}), "Two"),
        (json!({"title": {"endsWith": "o"}}), "Two"),
        (json!({"state": {"eq": "on_sale"}}), "Two"),
        (json!({"state": {"in": ["draft"]}}), "One Straße"),
        (json!({"tags": {"has": "a"}}), "One"),
        (json!({"tags": {"isEmpty": true}}), "Two Straße"),
        (json!({"artist": {"name": {"eq": "Émile"}}}), "Straße"),
        (json!({"songNotes": {"some": {"text": {"eq": "note 2"}}}}), "One"),
        (json!({"songNotes": {"none": {}}}), "Two Straße"),
        (json!({"songNotes": {"every": {"text": {"startsWith": "note"}}}}), "One Two Straße"),
        (json!({"lines": {"some": {"quantity": {"gte": 2}}}}), "One"),
        (json!({"or": [{"title": {"eq": "One"}}, {"title": {"eq": "Two"}}], "live": {"eq": true}}), "One"),
        (json!({"or": []}), ""),
        (json!({"and": [{"title": {"ne": "One"}}, {"title": {"ne": "Two"}}]}), "Straße"),
        (json!({"id": {"eq": KEYS[1]}}), "Two"),
        (json!({"revision": {"gte": 1}, "released": {"lt": "2026-01-03"}}), "One"),
        (json!({"cover": {"eq": "AQI="}}), "One"),
        (json!({"plays": {"eq": "9007199254740993"}}), "One"),
    ];
    for (given, expected) in cases {
        let query = "query($w: AlbumWhere) { albums(where: $w, orderBy: {id: ASC}) { nodes { title } totalCount } }";
        let albums = &shop.data(query, json!({ "w": given })).await["albums"];
        let titles: Vec<&str> = albums["nodes"].as_array().unwrap().iter().map(|node| node["title"].as_str().unwrap()).collect();
        assert_eq!(titles.join(" "), expected, "{given}");
        assert_eq!(albums["totalCount"], titles.len(), "{given}");
    }
}

#[tokio::test]
async fn pages_follow_one_another() {
    let shop = filled().await;
    let query = "query($a: String) { albums(orderBy: [{artist: {name: DESC}}, {title: DESC}], first: 2, after: $a) {
        edges { cursor node { title } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } cursor } }";
    let first = shop.data(query, json!({})).await["albums"].clone();
    assert_eq!((&first["edges"][0]["node"]["title"], &first["edges"][1]["node"]["title"]), (&json!("Straße"), &json!("Two")));
    let info = &first["pageInfo"];
    assert_eq!((&info["hasNextPage"], &info["hasPreviousPage"]), (&json!(true), &json!(false)));
    assert_eq!((&info["startCursor"], &info["endCursor"]), (&first["edges"][0]["cursor"], &first["edges"][1]["cursor"]));
    assert!(first["cursor"].as_str().unwrap().contains('.'));
    let second = shop.data(query, json!({"a": info["endCursor"]})).await["albums"].clone();
    assert_eq!(second["edges"].as_array().unwrap().len(), 1);
    assert_eq!(second["edges"][0]["node"]["title"], "One");
    assert_eq!((&second["pageInfo"]["hasNextPage"], &second["pageInfo"]["hasPreviousPage"]), (&json!(false), &json!(true)));
    let (status, code, _) = shop.error("{ albums(first: 2, after: \"nonsense\") { nodes { id } } }", json!({})).await;
    assert_eq!((status, code.as_str()), (200, "INVALID_ARGUMENT"));
}

#[tokio::test]
async fn a_document_is_one_read_whatever_it_asks() {
    let shop = filled().await;
    let query = "{ a: artists { nodes { name albums(orderBy: {title: ASC}, first: 1) { nodes { title songNotes { nodes { text } } } pageInfo { hasNextPage } } } }
        b: artist(id: 2) { name } albumsAggregate(groupBy: {field: artistId}) { keys { artistId } count } }";
    let answer = shop.ask(query, json!({})).await;
    let nodes = &answer.json["data"]["a"]["nodes"];
    assert_eq!(
        nodes[0]["albums"],
        json!({"nodes": [{"title": "One", "songNotes": {"nodes": [{"text": "note 1"}, {"text": "note 2"}]}}], "pageInfo": {"hasNextPage": true}})
    );
    assert_eq!(nodes[1]["albums"]["nodes"][0]["songNotes"]["nodes"], json!([]));
    assert_eq!(answer.json["data"]["b"], json!({"name": "Émile"}));
    assert!(answer.statements <= 5, "{}", answer.statements);
}

#[tokio::test]
async fn aggregates_group_and_measure() {
    let shop = filled().await;
    let query = "{ albumsAggregate(groupBy: [{field: released, by: MONTH}]) { __typename keys { released artistId } count countDistinct { artistId }
        sum { price rating plays } avg { price } min { title released } max { price } } }";
    let groups = shop.data(query, json!({})).await["albumsAggregate"].clone();
    assert_eq!(groups.as_array().unwrap().len(), 2);
    assert_eq!(
        groups[1],
        json!({"__typename": "AlbumAggregate", "keys": {"released": "2026-01-01", "artistId": null}, "count": 2, "countDistinct": {"artistId": 1},
            "sum": {"price": "12.75", "rating": 4.5, "plays": "9007199254740993"}, "avg": {"price": 6.375}, "min": {"title": "One", "released": "2026-01-02"}, "max": {"price": "9.50"}})
    );
    let count = "query($w: AlbumWhere) { albumsAggregate(where: $w) { count sum { price } } }";
    assert_eq!(
        shop.data(count, json!({"w": {"title": {"eq": "none"}}})).await,
        json!({"albumsAggregate": [{"count": 0, "sum": {"price": null}}]})
    );
}

#[tokio::test]
async fn mutations_run_one_after_the_other() {
    let shop = filled().await;
    let query = "mutation($id: UUID!) {
        a: updateAlbum(id: $id, input: {title: \"New\", price: null}, expectedRevision: 1) { album { revision title price } cursor }
        b: updateAlbum(id: $id, input: {title: \"Newer\"}, expectedRevision: 1) { album { title } }
        c: deleteSongNote(id: 2) { songNote { id text } }
        d: upsertArtist(id: 3, input: {name: \"Zoe\"}) { __typename artist { name albums { totalCount } } } __typename }";
    let answer = shop.ask(query, json!({"id": KEYS[0]})).await;
    let data = &answer.json["data"];
    assert_eq!(data["a"]["album"], json!({"revision": 2, "title": "New", "price": null}));
    assert_eq!((&data["b"], &data["c"]["songNote"]), (&Json::Null, &json!({"id": 2, "text": "note 2"})));
    assert_eq!(data["d"], json!({"__typename": "ArtistPayload", "artist": {"name": "Zoe", "albums": {"totalCount": 0}}}));
    assert_eq!(data["__typename"], "Mutation");
    let error = &answer.json["errors"][0];
    assert_eq!((&error["path"], &error["extensions"]["code"]), (&json!(["b"]), &json!("REVISION_MISMATCH")));
    assert_eq!(error["extensions"]["request_id"], "r1");
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn wrong_values_name_their_field() {
    let shop = filled().await;
    let long = json!({"i": {"title": "x".repeat(21), "artistId": 1}});
    let answer = shop.ask("mutation($i: AlbumCreateInput!) { createAlbum(input: $i) { cursor } }", long).await;
    let error = &answer.json["errors"][0];
    assert_eq!((&error["extensions"]["field"], &error["path"]), (&json!("title"), &json!(["createAlbum"])), "{}", answer.text);
    for (query, variables, status, code) in [
        ("{ album(id: \"x\") { id } }", json!({}), 400, "INVALID_ARGUMENT"),
        ("query($i: UUID!) { album(id: $i) { id } }", json!({"i": "x"}), 400, "INVALID_ARGUMENT"),
        ("query($i: UUID!) { album(id: $i) { id } }", json!({}), 400, "INVALID_ARGUMENT"),
        ("query($w: AlbumWhere) { albums(where: $w) { totalCount } }", json!({"w": {"price": {"eq": null}}}), 400, "INVALID_ARGUMENT"),
        ("query($w: AlbumWhere) { albums(where: $w) { totalCount } }", json!({"w": {"pric": {"eq": "1"}}}), 400, "INVALID_ARGUMENT"),
        ("query($w: AlbumWhere) { albums(where: $w) { totalCount } }", json!({"w": {"price": {"eq": "1.001"}}}), 400, "INVALID_ARGUMENT"),
        (
            "query($o: [AlbumOrderBy!]) { albums(orderBy: $o) { totalCount } }",
            json!({"o": {"id": "ASC", "title": "ASC"}}),
            400,
            "INVALID_ARGUMENT",
        ),
        ("{ albums(orderBy: {id: ASC, title: ASC}) { totalCount } }", json!({}), 400, "INVALID_ARGUMENT"),
        ("{ albums { nodes { code } } }", json!({}), 400, "INVALID_ARGUMENT"),
        ("{ albums(where: {code: {eq: \"x\"}}) { totalCount } }", json!({}), 400, "INVALID_ARGUMENT"),
        (
            "mutation { updateAlbum(id: \"018f2e8a-6c1b-7cc2-9d6f-0a1b2c3d4eff\", input: {title: \"x\"}) { cursor } }",
            json!({}),
            200,
            "NOT_FOUND",
        ),
        ("mutation { createArtist(input: {id: 1, name: \"x\"}) { cursor } }", json!({}), 200, "ALREADY_EXISTS"),
        ("{ albums(orderBy: [{id: ASC}, {title: ASC}, {price: ASC}, {rating: ASC}]) { nodes { id } } }", json!({}), 200, "LIMIT_EXCEEDED"),
    ] {
        let (got, told, message) = shop.error(query, variables.clone()).await;
        assert_eq!((got, told.as_str()), (status, code), "{query} {variables}: {message}");
    }
}

#[tokio::test]
async fn one_plan_serves_all_values_of_one_skeleton() {
    let shop = filled().await;
    let query = "query($w: AlbumWhere, $with: Boolean!) { albums(where: $w) { nodes { title price @include(if: $with) } } }";
    for (title, with) in [("One", true), ("Two", true), ("Two", false), ("One", false)] {
        let albums = shop.data(query, json!({"w": {"title": {"eq": title}}, "with": with})).await["albums"]["nodes"].clone();
        assert_eq!((&albums[0]["title"], albums[0].get("price").is_some()), (&json!(title), with));
    }
    let mixed = "query($a: String!, $q: Int) { albums(where: {or: [{title: {in: [$a, \"Two\"]}}, {lines: {some: {quantity: {eq: $q}}}}]}) { totalCount } }";
    assert_eq!(shop.data(mixed, json!({"a": "Straße"})).await["albums"]["totalCount"], 3);
    assert_eq!(shop.data(mixed, json!({"a": "none", "q": 7})).await["albums"]["totalCount"], 1);
}

#[tokio::test]
async fn fragments_and_repeated_fields_are_merged() {
    let shop = filled().await;
    let query = "{ artist(id: 1) { ...A albums(orderBy: {title: ASC}) { nodes { title } } x: name ... on Artist { id @skip(if: true) name } } artist(id: 1) { revision }
        } fragment A on Artist { albums(orderBy: {title: ASC}) { totalCount nodes { price } } }";
    let data = shop.data(query, json!({})).await;
    let expected = r#"{"artist":{"albums":{"totalCount":2,"nodes":[{"price":"9.50","title":"One"},{"price":"3.25","title":"Two"}]},"x":"Ada","name":"Ada","revision":1}}"#;
    assert_eq!(data, serde_json::from_str::<Json>(expected).unwrap());
}

#[tokio::test]
async fn an_idempotency_key_is_for_one_mutation() {
    let shop = filled().await;
    let one = "mutation { createArtist(input: {id: 9, name: \"x\"}) { artist { revision } } }";
    for _ in 0..2 {
        let answer = shop.ask_as(with_key("k1"), one, json!({})).await;
        assert_eq!(answer.json["data"]["createArtist"]["artist"]["revision"], 1, "{}", answer.text);
    }
    let of_extension = json!({"query": one, "extensions": {"idempotencyKey": "k1"}}).to_string();
    let post = || http::Request::post("/graphql").header("content-type", "application/json");
    let answer = shop.http(context(), post(), of_extension.clone()).await;
    assert_eq!(answer.json["data"]["createArtist"]["artist"]["revision"], 1, "{}", answer.text);
    let answer = shop.http(with_key("k1"), post(), of_extension).await;
    assert_eq!(answer.json["errors"][0]["extensions"]["code"], "INVALID_ARGUMENT", "a key in both places: {}", answer.text);
    let two = "mutation { a: deleteArtist(id: 9) { cursor } b: deleteArtist(id: 9) { cursor } }";
    let answer = shop.ask_as(with_key("k2"), two, json!({})).await;
    assert_eq!((answer.status, &answer.json["errors"][0]["extensions"]["code"]), (400, &json!("INVALID_ARGUMENT")));
}

#[tokio::test]
async fn the_schema_answers_about_itself() {
    let shop = shop().await;
    let query = "query($n: String!) { __schema { queryType { name } } t: __type(name: $n) { name kind fields { name type { kind ofType { name } } } } __typename }";
    let album = shop.data(query, json!({"n": "PageInfo"})).await;
    assert_eq!((&album["t"]["name"], &album["__typename"]), (&json!("PageInfo"), &json!("Query")));
    assert_eq!(shop.data(query, json!({"n": "Nothing"})).await["t"], Json::Null);
    let one_of = "{ a: __type(name: \"AlbumOrderBy\") { isOneOf is: isOneOf ...T } b: __type(name: \"AlbumWhere\") { isOneOf } c: __type(name: \"Album\") { isOneOf } } fragment T on __Type { isOneOf name }";
    let expected = json!({"a": {"isOneOf": true, "is": true, "name": "AlbumOrderBy"}, "b": {"isOneOf": false}, "c": {"isOneOf": null}});
    assert_eq!(shop.data(one_of, json!({})).await, expected);
    let deep = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
    assert_eq!(shop.error(deep, json!({})).await.1, "LIMIT_EXCEEDED");
}

#[tokio::test]
async fn hostile_documents_end_soon() {
    let shop = shop().await;
    let doubling: String = (0..20).map(|n| format!("fragment F{n} on Artist{{...F{m} ...F{m}}}", m = n + 1)).collect();
    let doubling = format!("{{artist(id:1){{...F0}}}}{doubling}fragment F20 on Artist{{id}}");
    let deep = format!("{{{}", "a{".repeat(3_000));
    let lists = format!("{{albums(where:{}", "[".repeat(3_000));
    for document in
        [doubling.as_str(), &deep, &lists, "", "{", "\u{0}", "{a(b:\"", "query", "{...}", "fragment A on B{...A}", "{__typename}}"]
    {
        let begun = std::time::Instant::now();
        let answer = shop.ask(document, json!({})).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(answer.json.get("data").is_none());
        assert!(begun.elapsed().as_millis() < 100, "{document:.40} took {:?}", begun.elapsed());
    }
}

/// A selection of nothing but a wrong name is still one, so only the name is told.
#[tokio::test]
async fn an_unknown_field_is_the_one_fault() {
    let shop = shop().await;
    for (document, expect) in [
        ("{ artist(id: 1) { nmae } }", &["type `Artist` does not have a field `nmae`; did you mean `name`?"][..]),
        ("{ artist(id: 1) @skip(if: false) { ...{ nmae } } }", &["type `Artist` does not have a field `nmae`; did you mean `name`?"]),
        ("{ artist(id: 1) }", &["interface, union and object types must have a subselection set"]),
        (
            "{ artist(id: 1) { zzzzzz } albums }",
            &["type `Artist` does not have a field `zzzzzz`", "interface, union and object types must have a subselection set"],
        ),
    ] {
        let answer = shop.ask(document, json!({})).await;
        let messages: Vec<&str> = answer.json["errors"].as_array().unwrap().iter().filter_map(|error| error["message"].as_str()).collect();
        assert_eq!(messages, expect, "{document}: {}", answer.text);
    }
}

#[tokio::test]
async fn http_is_spoken_as_its_specification_says() {
    let shop = filled().await;
    let get = |uri: &str| http::Request::get(uri.to_owned());
    let post = || http::Request::post("/graphql").header("content-type", "application/json");
    let json = r#"{"query":"{__typename}"}"#;
    let wrong = r#"{"query":"{nothing}"}"#;
    let cases = [
        (get("/graphql?query=%7B__typename%7D"), "", 200, "application/json; charset=utf-8"),
        (get("/graphql?query=mutation%7BdeleteArtist(id:1)%7Bcursor%7D%7D"), "", 405, "application/json; charset=utf-8"),
        (get("/graphql").header("accept", "text/html"), "", 200, "text/html; charset=utf-8"),
        (get("/graphql"), "", 400, "application/json; charset=utf-8"),
        (post(), json, 200, "application/json; charset=utf-8"),
        (post().header("accept", "application/graphql-response+json"), json, 200, "application/graphql-response+json; charset=utf-8"),
        (post(), wrong, 200, "application/json; charset=utf-8"),
        (post().header("accept", "application/graphql-response+json"), wrong, 400, "application/graphql-response+json; charset=utf-8"),
        (post().header("accept", "image/png"), json, 406, "application/json; charset=utf-8"),
        (post(), "[]", 400, "application/json; charset=utf-8"),
        (http::Request::post("/graphql"), json, 415, "application/json; charset=utf-8"),
        (http::Request::put("/graphql"), json, 405, "application/json; charset=utf-8"),
        (http::Request::options("/graphql"), "", 204, ""),
    ];
    for (index, (request, sent, status, content_type)) in cases.into_iter().enumerate() {
        let answer = shop.http(context(), request, sent.to_owned()).await;
        assert_eq!((answer.status, answer.content_type.as_str()), (status, content_type), "case {index}: {}", answer.text);
    }
}

#[test]
fn the_schema_is_valid_and_says_what_is_nullable() {
    let sdl = fourfold_graphql::sdl(&shop::model());
    for line in [
        "  artist: Artist!",
        "  album: Album!",
        "  plays: BigInt @deprecated(reason: \"use rating\")",
        "  tags: [String!]!",
        "  artistId: Int!",
        "input AlbumOrderBy @oneOf {",
        "  createAlbum(input: AlbumCreateInput!): AlbumPayload",
        "scalar UUID @specifiedBy(url: \"https://www.rfc-editor.org/rfc/rfc9562\")",
    ] {
        assert!(sdl.lines().any(|known| known == line), "no line `{line}` in\n{sdl}");
    }
    assert!(!sdl.lines().any(|line| line.trim_start().starts_with("code: StringFilter")));
    let empty = fourfold_graphql::sdl(&fourfold_model::Model::default());
    assert!(empty.contains("package: String!"));
}

#[test]
fn what_a_rule_can_hide_is_nullable() {
    let mut model = shop::model();
    let no = fourfold_model::Expr::boolean(fourfold_model::ExprKind::Literal(fourfold_model::Value::Boolean(false)));
    model.entities[1].fields[2].read_rule = Some(no.clone());
    model.entities[0].rules[0].expr = no;
    let sdl = fourfold_graphql::sdl(&model);
    for line in ["  title: String", "  artist: Artist", "  artistId: Int!"] {
        assert!(sdl.lines().any(|known| known == line), "no line `{line}`");
    }
    model.entities[0].internal = true;
    let sdl = fourfold_graphql::sdl(&model);
    assert!(!sdl.contains("Artist:") && !sdl.contains("type Artist"), "an internal entity shows");
    assert!(sdl.lines().any(|line| line == "  artistId: Int!"));
}

/// Documents with pieces cut out and put in: each is answered as JSON, none as an error of ours.
#[tokio::test]
async fn broken_documents_are_answered() {
    const BASES: [&str; 3] = [
        "query($w: AlbumWhere, $f: Int) { albums(where: $w, first: $f, orderBy: [{artist: {name: DESC}}]) { edges { cursor node { ...A } } totalCount } } fragment A on Album { id lines { quantity } songNotes(first: 1) { nodes { text } } }",
        "mutation { createAlbum(input: {title: \"x\", artistId: 1, lines: [{quantity: 1}], meta: {a: [1, null]}}) { album { id meta } cursor } }",
        "{ albumsAggregate(groupBy: [{field: playedAt, by: DAY}]) { keys { playedAt } sum { price } count } __schema { types { name } } }",
    ];
    const PIECES: [&str; 16] =
        ["{", "}", "(", ")", "[", "$", "!", "...", "@skip(if: true)", "\"", "\"\"\"", "#", "null", "\u{0}", "1e999", "é"];
    let shop = filled().await;
    let mut seed = 7u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for round in 0..1_500 {
        let mut letters: Vec<char> = BASES[round % BASES.len()].chars().collect();
        for _ in 0..=next(3) {
            let start = next(letters.len());
            let end = (start + next(6)).min(letters.len());
            letters.splice(start..end, PIECES[next(PIECES.len())].chars());
        }
        let document: String = letters.into_iter().collect();
        let answer = shop.ask(&document, json!({"w": {"price": {"gte": "1"}}, "f": next(5) as i64 - 2})).await;
        assert!(answer.json.is_object() && !answer.text.contains("INTERNAL"), "{document}\n{}", answer.text);
    }
}
