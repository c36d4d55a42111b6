//! The face over the engine and the memory store, by gRPC (messages made by prost-reflect from the contract) and Connect.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod inbound;
mod oracle;
mod shop;
mod stream;
mod watch;

use serde_json::json;
use shop::{body, shop};

const ALBUM: &str = "018f3a2b-4c5d-7e6f-8a9b-0c1d2e3f4a5b";

async fn with_album() -> shop::Shop {
    let shop = shop().await;
    shop.grpc("ArtistService/CreateArtist", json!({"artist": {"id": 1, "name": "AC/DC"}})).await.unwrap();
    shop.grpc("AlbumService/CreateAlbum", json!({"album": full_album()})).await.unwrap();
    shop
}

fn full_album() -> serde_json::Value {
    json!({
        "id": ALBUM, "title": "Powerage", "price": "12.50", "state": "ALBUM_STATE_ON_SALE", "tags": ["rock", "hard"], "artist_id": 1,
        "lines": [{"quantity": 2, "price": "1.00"}, {"quantity": -3}], "released": "1978-05-05", "played_at": "2026-11-22T10:00:00.123456Z",
        "meta": {"a": [1.0, null, "x"]}, "cover": "AAH/", "rating": 4.5, "plays": "9007199254740993", "live": false,
    })
}

#[tokio::test]
async fn every_type_goes_in_and_comes_back() {
    let shop = with_album().await;
    let mut expected = full_album();
    expected["revision"] = json!("1");
    assert_eq!(shop.grpc("AlbumService/GetAlbum", json!({"id": ALBUM})).await.unwrap(), expected);
    let (status, mut answer) = shop.connect("AlbumService/GetAlbum", json!({"id": ALBUM})).await;
    assert_eq!(status, 200);
    assert_eq!(answer["revision"], json!(1));
    answer["revision"] = json!("1");
    assert_eq!(answer["meta"], json!({"a": [1, null, "x"]}));
    answer["meta"] = expected["meta"].clone();
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn connect_json_writes_what_grpc_reads() {
    let shop = with_album().await;
    let mut album = full_album();
    album["id"] = json!("018f3a2b-4c5d-7e6f-8a9b-0c1d2e3f4a5c");
    album["state"] = json!("draft");
    let (status, created) =
        shop.connect("AlbumService/CreateAlbum", json!({"album": album, "read_mask": "title,artistId,artist.name"})).await;
    assert_eq!((status, &created["artist"]["name"], &created["price"]), (200, &json!("AC/DC"), &json!(null)), "{created}");
    let read = shop.grpc("AlbumService/GetAlbum", json!({"id": album["id"]})).await.unwrap();
    assert_eq!(read["state"], "ALBUM_STATE_DRAFT");
    assert_eq!(read["plays"], album["plays"]);
}

#[tokio::test]
async fn connect_get_reads() {
    let shop = with_album().await;
    let query = format!("encoding=json&message=%7B%22id%22%3A%22{ALBUM}%22%7D&connect=v1");
    let get = |path: &str| http::Request::get(format!("/shop.v1.AlbumService/{path}?{query}")).body(body("")).unwrap();
    let (status, answer) = shop.http(get("GetAlbum")).await;
    assert_eq!((status, &answer["title"]), (200, &json!("Powerage")));
    assert_ne!(shop.http(get("DeleteAlbum")).await.0, 200);
}

#[tokio::test]
async fn relations_are_filled_as_the_read_mask_says() {
    let shop = with_album().await;
    let album = shop.grpc("AlbumService/GetAlbum", json!({"id": ALBUM, "read_mask": "title,artist.albums.title"})).await.unwrap();
    let inner = json!({"items": [{"id": ALBUM, "revision": "1", "title": "Powerage"}], "has_more": false});
    let expected = json!({"id": ALBUM, "revision": "1", "title": "Powerage", "artist": {"id": 1, "revision": "1", "albums": inner}});
    assert_eq!(album, expected);
    let wrong = shop.grpc("AlbumService/GetAlbum", json!({"id": ALBUM, "read_mask": "titel"})).await;
    assert_eq!(wrong, Err((3, "INVALID_ARGUMENT".into(), "read_mask".into())));
}

#[tokio::test]
async fn an_update_changes_what_the_mask_names() {
    let shop = with_album().await;
    let update = |request| shop.grpc("AlbumService/UpdateAlbum", request);
    let set = update(json!({"album": {"id": ALBUM, "title": "Highway"}})).await.unwrap();
    assert_eq!((&set["title"], &set["price"], &set["revision"]), (&json!("Highway"), &json!("12.50"), &json!("2")));
    let cleared = update(json!({"album": {"id": ALBUM, "title": "x"}, "update_mask": "price,lines,tags"})).await.unwrap();
    assert_eq!((&cleared["title"], &cleared["price"]), (&json!("Highway"), &json!(null)));
    assert_eq!((&cleared["lines"], &cleared["tags"]), (&json!(null), &json!(null)));
    let replaced = update(json!({"album": {"id": ALBUM, "title": "All"}, "update_mask": "*"})).await.unwrap();
    assert_eq!((&replaced["rating"], &replaced["state"]), (&json!(null), &json!("ALBUM_STATE_DRAFT")));
    let stale = update(json!({"album": {"id": ALBUM, "title": "y"}, "etag": "1"})).await;
    assert_eq!(stale, Err((10, "REVISION_MISMATCH".into(), String::new())));
    let etag = update(json!({"album": {"id": ALBUM}, "etag": "first"})).await;
    assert_eq!(etag, Err((3, "INVALID_ARGUMENT".into(), "etag".into())));
}

#[tokio::test]
async fn allow_missing_creates_with_all_that_is_set() {
    let shop = with_album().await;
    let new = "018f3a2b-4c5d-7e6f-8a9b-0c1d2e3f4a5e";
    let request = json!({"album": {"id": new, "title": "New", "rating": 2.0}, "update_mask": "rating"});
    let missing = shop.grpc("AlbumService/UpdateAlbum", request.clone()).await;
    assert_eq!(missing, Err((5, "NOT_FOUND".into(), String::new())));
    let mut request = request;
    request["allow_missing"] = json!(true);
    let created = shop.grpc("AlbumService/UpdateAlbum", request.clone()).await.unwrap();
    assert_eq!((&created["title"], &created["rating"]), (&json!("New"), &json!(2.0)));
    request["album"] = json!({"id": new, "title": "Other", "rating": 3.0});
    let updated = shop.grpc("AlbumService/UpdateAlbum", request).await.unwrap();
    assert_eq!((&updated["title"], &updated["rating"]), (&json!("New"), &json!(3.0)));
}

#[tokio::test]
async fn a_request_id_makes_a_write_happen_once() {
    let shop = with_album().await;
    let request = json!({"artist": {"id": 7, "name": "Once"}, "request_id": "key-1"});
    let first = shop.grpc("ArtistService/CreateArtist", request.clone()).await.unwrap();
    assert_eq!(shop.grpc("ArtistService/CreateArtist", request).await.unwrap(), first);
    let other = shop.grpc("ArtistService/CreateArtist", json!({"artist": {"id": 8, "name": "Other"}, "request_id": "key-1"})).await;
    assert_eq!(other, Err((9, "IDEMPOTENCY_MISMATCH".into(), String::new())));
}

#[tokio::test]
async fn deletes_answer_empty_and_respect_references() {
    let shop = with_album().await;
    let referenced = shop.grpc("ArtistService/DeleteArtist", json!({"id": 1})).await;
    assert_eq!(referenced.unwrap_err().0, 9);
    assert_eq!(shop.grpc("AlbumService/DeleteAlbum", json!({"id": ALBUM, "etag": "1"})).await, Ok(json!({})));
    assert_eq!(shop.grpc("AlbumService/DeleteAlbum", json!({"id": ALBUM})).await.unwrap_err().1, "NOT_FOUND");
    assert_eq!(shop.grpc("AlbumService/DeleteAlbum", json!({"id": ALBUM, "allow_missing": true})).await, Ok(json!({})));
}

#[tokio::test]
async fn lists_come_in_pages_and_orders() {
    let shop = shop().await;
    for id in 1..=5 {
        let name = format!("n{}", id % 2);
        shop.grpc("ArtistService/CreateArtist", json!({"artist": {"id": id, "name": name}})).await.unwrap();
    }
    let list = |request| shop.grpc("ArtistService/ListArtists", request);
    let ids = |answer: &serde_json::Value| {
        answer["artists"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let all = list(json!({})).await.unwrap();
    assert_eq!(ids(&all), [1, 2, 3, 4, 5]);
    assert!(all["next_page_token"].is_null() && all["cursor"].is_string() && all["total_size"].is_null());
    let ordered = json!({"order_by": "name desc, id desc", "page_size": 2, "with_total": true});
    let first = list(ordered.clone()).await.unwrap();
    assert_eq!((ids(&first), &first["total_size"], &first["total_capped"]), (vec![5, 3], &json!(5), &json!(false)));
    let mut next = ordered;
    next["page_token"] = first["next_page_token"].clone();
    assert_eq!(ids(&list(next.clone()).await.unwrap()), [1, 4]);
    next["order_by"] = json!("-name,-id");
    assert_eq!(ids(&list(next.clone()).await.unwrap()), [1, 4]);
    next["order_by"] = json!("name");
    assert_eq!(list(next).await.unwrap_err().1, "INVALID_ARGUMENT");
    assert_eq!(list(json!({"page_size": -1})).await, Err((3, "INVALID_ARGUMENT".into(), "page_size".into())));
    assert_eq!(list(json!({"order_by": "nam"})).await, Err((3, "INVALID_ARGUMENT".into(), "order_by".into())));
    let several = shop.grpc("ArtistService/BatchGetArtists", json!({"ids": [3, 1]})).await.unwrap();
    assert_eq!(ids(&several), [3, 1]);
    let many: Vec<i32> = (0..1_000).map(|index| index % 5 + 1).collect();
    assert_eq!(ids(&shop.grpc("ArtistService/BatchGetArtists", json!({"ids": many})).await.unwrap()).len(), 1_000);
    let too_many = shop.grpc("ArtistService/BatchGetArtists", json!({"ids": vec![1; 1_001]})).await;
    assert_eq!(too_many.unwrap_err().1, "LIMIT_EXCEEDED");
    assert_eq!(shop.grpc("ArtistService/BatchGetArtists", json!({"ids": [3, 9]})).await.unwrap_err().0, 5);
}

#[tokio::test]
async fn aggregates_are_typed_by_their_fields() {
    let shop = with_album().await;
    let second = json!({"album": {"title": "Other", "price": "0.55", "state": "ALBUM_STATE_ON_SALE", "plays": "2"}});
    shop.grpc("AlbumService/CreateAlbum", second).await.unwrap();
    let request =
        json!({"group_by": ["state"], "count": ["*", "rating"], "sum": ["price"], "avg": ["rating"], "min": ["title"], "max": ["price"]});
    let answer = shop.grpc("AlbumService/AggregateAlbums", request.clone()).await.unwrap();
    let group = json!({
        "group": {"state": "ALBUM_STATE_ON_SALE"}, "count": "2", "count_of": {"rating": "1"}, "sum": {"price": "13.05"},
        "avg": {"rating": 4.5}, "min": {"title": "Other"}, "max": {"price": "12.50"},
    });
    assert_eq!(answer, json!({"groups": [group]}));
    let (status, answer) = shop.connect("AlbumService/AggregateAlbums", request).await;
    assert_eq!((status, &answer["groups"][0]["count"], &answer["groups"][0]["sum"]), (200, &json!(2), &json!({"price": "13.05"})));
    let wrong = shop.grpc("AlbumService/AggregateAlbums", json!({"group_by": ["stat"]})).await;
    assert_eq!(wrong, Err((3, "INVALID_ARGUMENT".into(), "group_by".into())));
}

#[tokio::test]
async fn a_batch_is_one_commit() {
    let shop = shop().await;
    let artist = |id: i32, name: &str| json!({"create_artist": {"artist": {"id": id, "name": name}}});
    let operations =
        json!([artist(1, "a"), {"update_artist": {"artist": {"id": 1, "name": "b"}}}, artist(2, "c"), {"delete_artist": {"id": 2}}]);
    let answer = shop.grpc("BatchService/Batch", json!({"operations": operations})).await.unwrap();
    let results = json!([{"artist": {"id": 1, "revision": "1", "name": "a"}}, {"artist": {"id": 1, "revision": "2", "name": "b"}}]);
    assert_eq!(answer["results"].as_array().unwrap()[..2], results.as_array().unwrap()[..]);
    assert_eq!(answer["results"][3], json!({}));
    let broken = json!({"operations": [artist(3, "x"), artist(1, "again")]});
    assert_eq!(shop.grpc("BatchService/Batch", broken.clone()).await.unwrap_err().1, "ALREADY_EXISTS");
    assert_eq!(shop.grpc("ArtistService/GetArtist", json!({"id": 3})).await.unwrap_err().0, 5);
    let (status, answer) = shop.connect("BatchService/Batch", json!({"operations": [artist(4, "json")]})).await;
    assert_eq!((status, &answer["results"][0]["artist"]["name"]), (200, &json!("json")), "{answer}");
}

#[tokio::test]
async fn ingest_takes_rows_that_stand_alone() {
    let shop = shop().await;
    let row = |id: i32, name: &str| json!({"artist": {"id": id, "name": name}});
    let mut rows: Vec<_> = (1..=2_500).map(|id| row(id, "x")).collect();
    rows.push(row(7, "twice"));
    let (status, answers) = shop.stream("ArtistService/IngestArtists", rows).await;
    assert_eq!(status, Ok(()));
    assert_eq!(answers.last().unwrap()["through"], json!("2501"));
    let errors: Vec<_> = answers.iter().filter_map(|answer| answer["errors"].as_array()).flatten().collect();
    assert_eq!(errors.len(), 1);
    assert_eq!((&errors[0]["sequence"], &errors[0]["code"]), (&json!("2501"), &json!("already_exists")));
    let total = shop.grpc("ArtistService/ListArtists", json!({"page_size": 1, "with_total": true})).await.unwrap();
    assert_eq!(total["total_size"], json!(2500));
    let mut upsert = row(7, "replaced");
    upsert["upsert"] = json!(true);
    let (status, answers) = shop.stream("ArtistService/IngestArtists", vec![upsert]).await;
    assert_eq!((status, answers), (Ok(()), vec![json!({"through": "1"})]));
    let backwards =
        vec![json!({"sequence": "5", "artist": {"id": 9001, "name": "x"}}), json!({"sequence": "5", "artist": {"id": 9002, "name": "x"}})];
    let (status, _) = shop.stream("ArtistService/IngestArtists", backwards).await;
    assert_eq!(status, Err((3, "INVALID_ARGUMENT".into(), "sequence".into())));
    let (status, _) = shop.stream("ArtistService/IngestArtists", vec![json!({"stream_id": "s"})]).await;
    assert_eq!(status.unwrap_err().0, 12);
}

/// Whether the first detail of a Connect error, its ErrorInfo, holds a text.
fn told(error: &serde_json::Value, text: &str) -> bool {
    use base64::Engine as _;
    let value = error["details"][0]["value"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(value).unwrap();
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let shop = with_album().await;
    let create = |album| shop.grpc("AlbumService/CreateAlbum", json!({"album": album}));
    let refused = |fields: &str| Err((3, "INVALID_ARGUMENT".to_owned(), fields.to_owned()));
    assert_eq!(create(json!({"title": "x".repeat(21)})).await, refused("title"));
    let one = json!({"operations": [{"create_album": {"album": {"title": "x".repeat(21)}}}]});
    assert!(told(&shop.connect("BatchService/Batch", one).await.1, "operation"));
    let deep = json!({"id": ALBUM, "read_mask": "artist.albums.artist.albums.title"});
    assert!(told(&shop.connect("AlbumService/GetAlbum", deep).await.1, "expand_depth_max"));
    assert_eq!(create(json!({"title": "x", "price": "1.234"})).await, refused("price"));
    assert_eq!(create(json!({"title": "x", "rank": 1})).await, refused("rank"));
    assert_eq!(create(json!({"title": "x", "lines": [{"quantity": 1}, {"quantity": 1, "price": "y"}]})).await, refused("lines[1].price"));
    assert_eq!(shop.grpc("AlbumService/GetAlbum", json!({})).await, refused("id"));
    assert_eq!(shop.grpc("AlbumService/GetAlbum", json!({"id": "x"})).await, refused("id"));
    assert_eq!(create(serde_json::from_value(full_album()).unwrap()).await.unwrap_err().1, "ALREADY_EXISTS");
    let (status, error) = shop.connect("AlbumService/CreateAlbum", json!({"album": {"titel": "x"}})).await;
    assert_eq!((status, &error["code"]), (400, &json!("invalid_argument")));
    assert!(error["message"].as_str().unwrap().contains("did you mean `title`?"), "{error}");
    assert_eq!(error["details"][0]["type"], "google.rpc.ErrorInfo");
}

#[tokio::test]
async fn unknown_methods_and_hostile_bytes_are_refused() {
    let shop = with_album().await;
    let error = shop.raw("AlbumService/Nothing", shop::envelope(b"")).await.0.unwrap_err();
    assert_eq!(error, (12, "UNIMPLEMENTED".into(), String::new()));
    let (status, error) = shop.connect("AlbumService/Nothing", json!({})).await;
    assert_eq!((status, &error["code"], &error["details"][0]["type"]), (501, &json!("unimplemented"), &json!("google.rpc.ErrorInfo")));
    for bytes in [&b"\xff"[..], b"\x0a\xff\xff\xff\xff\x0f", b"\x0b\x0b\x0b", b"\x0a\x02\xc3\x28"] {
        let error = shop.raw("AlbumService/GetAlbum", shop::envelope(bytes)).await.0.unwrap_err();
        assert_eq!(error.0, 3);
        assert_eq!(shop.raw("BatchService/Batch", shop::envelope(bytes)).await.0.unwrap_err().0, 3);
    }
    let large = vec![0u8; (4 << 20) + 64];
    assert_eq!(shop.raw("AlbumService/GetAlbum", shop::envelope(&large)).await.0.unwrap_err().0, 8);
}

#[tokio::test]
async fn health_and_reflection_tell_what_is_served() {
    let shop = shop().await;
    let (status, answers) = shop.raw("grpc.health.v1.Health/Check", shop::envelope(b"")).await;
    assert_eq!((status, answers), (Ok(()), vec![vec![8, 1]]));
    shop.grpc.set_serving(false);
    let (_, answers) = shop.raw("grpc.health.v1.Health/Check", shop::envelope(b"\x0a\x14shop.v1.AlbumService")).await;
    assert_eq!(answers, vec![vec![8, 2]]);
    assert_eq!(shop.raw("grpc.health.v1.Health/Check", shop::envelope(b"\x0a\x01x")).await.0.unwrap_err().0, 5);
    for version in ["v1", "v1alpha"] {
        let path = format!("grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let mut sent = shop::envelope(b"\x3a\x00");
        sent.extend(shop::envelope(b"\x22\x14shop.v1.AlbumService"));
        sent.extend(shop::envelope(b"\x22\x14google.rpc.ErrorInfo"));
        let (status, answers) = shop.raw(&path, sent).await;
        assert_eq!((status, answers.len()), (Ok(()), 3));
        let holds = |answer: &[u8], text: &str| answer.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds(&answers[0], "shop.v1.BatchService") && holds(&answers[0], "grpc.health.v1.Health"));
        assert!(holds(&answers[2], "google/rpc/error_details.proto"));
        assert!(holds(&answers[1], "shop/v1/shop.proto") && holds(&answers[1], "google/protobuf/timestamp.proto"));
    }
}

#[tokio::test]
async fn grpc_web_carries_its_trailers_in_the_body() {
    let shop = with_album().await;
    let sent = shop::envelope(&[&[0x0a, 36][..], ALBUM.as_bytes()].concat());
    let request = http::Request::post("/shop.v1.AlbumService/GetAlbum").header("content-type", "application/grpc-web+proto");
    let response = shop.grpc.serve(shop::context(), request.body(body(sent)).unwrap()).await;
    let bytes = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&bytes).contains("grpc-status: 0") || String::from_utf8_lossy(&bytes).contains("grpc-status:0"));
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_deadline_exceeded() {
    let shop = with_album().await;
    let request = http::Request::post("/shop.v1.ArtistService/ListArtists").header("content-type", "application/json");
    let (status, error) = shop.http(request.header("connect-timeout-ms", "0").body(body("{}")).unwrap()).await;
    assert_eq!((status, &error["code"]), (504, &json!("deadline_exceeded")));
}

const WATCH_RESPONSE: &str = r#"
// What WatchArtists tells, one change each.
message WatchArtistsResponse {
  // What a change is to a watch.
  enum Change {
    // Not set.
    CHANGE_UNSPECIFIED = 0;
    // The row is now among those watched.
    CHANGE_ENTERED = 1;
    // It was and is, with another revision.
    CHANGE_CHANGED = 2;
    // It no longer is; only its key is told.
    CHANGE_LEFT = 3;
    // Nothing: only the cursor, which may be newer.
    CHANGE_BOOKMARK = 4;
    // What was told no longer holds: list again. It is the last response.
    CHANGE_RESET = 5;
  }
  // From where to go on after this; not set for the rows that a watch begins with.
  optional string cursor = 1;
  // What it is, relative to the filter and to what the caller may see.
  optional WatchArtistsResponse.Change change = 2;
  // The row's key; not set for a bookmark or a reset.
  optional int32 id = 3;
  // The row's revision; not set when it left.
  optional int64 revision = 4;
  // When it was committed.
  optional google.protobuf.Timestamp at = 5;
  // The row, as far as the read mask goes and the caller may see it.
  optional Artist artist = 6;
}
"#;

/// A model refuses an entity whose row would be called as one of these.
#[tokio::test]
async fn what_stands_beside_a_row_is_known_to_the_model() {
    let known = fourfold_model::names::PROTOBUF_BESIDE_ROW;
    let mut seen = std::collections::BTreeSet::new();
    for message in shop().await.pool.all_messages().filter(|message| message.full_name().starts_with("shop.v1.")) {
        if message.get_field_by_name("album").is_none() || !message.name().contains("Album") {
            continue;
        }
        seen.extend(message.fields().map(|field| field.name().to_owned()).filter(|name| name != "album"));
    }
    assert_eq!(seen, known.iter().map(|name| (*name).to_owned()).collect());
}

/// The contract as a file, for tools outside: `PROTO_OUT=DIR cargo test -p fourfold-grpc contract`.
#[test]
fn contract_is_deterministic() {
    let model = shop::model();
    let text = fourfold_grpc::proto(&model);
    assert_eq!(text, fourfold_grpc::proto(&shop::model()));
    assert_eq!(fourfold_grpc::descriptor_set(&model), fourfold_grpc::descriptor_set(&shop::model()));
    for part in [
        "rpc ListAlbums(ListAlbumsRequest) returns (ListAlbumsResponse)",
        "message AlbumList",
        "ALBUM_STATE_UNSPECIFIED = 0;",
        "reserved 40;",
        "rpc WatchAlbums(WatchAlbumsRequest) returns (stream WatchAlbumsResponse) {",
        WATCH_RESPONSE,
        "// Doc of Album.",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    if let Ok(out) = std::env::var("PROTO_OUT") {
        let path = std::path::Path::new(&out).join(fourfold_grpc::proto_path(&model));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}
