//! What stands on the wire of a stream of messages, and what of it is read.

use std::time::Duration;

use bytes::Bytes;
use fourfold_grpc::Body;
use fourfold_op::Limits;
use futures_util::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use prost::Message as _;
use serde_json::json;

use crate::shop::{Shop, context, dynamic, envelope, model, shop, shop_of};

const INGEST: &str = "ArtistService/IngestArtists";
const MESSAGE_BYTES_MAX: usize = 64;

fn row(shop: &Shop, id: i32) -> Vec<u8> {
    dynamic(shop.method(INGEST).input(), json!({"artist": {"id": id, "name": "x"}})).encode_to_vec()
}

#[tokio::test]
async fn a_message_that_cannot_be_read_ends_the_stream_and_says_why() {
    let shop = shop_of(model(), Limits { grpc_message_bytes_max: MESSAGE_BYTES_MAX, ..Limits::default() }).await;
    let good = envelope(&row(&shop, 1));
    let oversize = envelope(&[0; MESSAGE_BYTES_MAX + 1]);
    let compressed = [&[1], &good[1..]].concat();
    let cut = good[..good.len() - 1].to_vec();
    let in_the_head = good[..3].to_vec();
    let resource_exhausted = 8;
    let internal = 13;
    let invalid_argument = 3;
    for (name, bytes, code) in [
        ("oversize", oversize, resource_exhausted),
        ("compressed", compressed, internal),
        ("cut", cut, invalid_argument),
        ("in the head", in_the_head, invalid_argument),
    ] {
        let (status, answers) = shop.raw(INGEST, [good.clone(), bytes].concat()).await;
        assert_eq!(status.unwrap_err().0, code, "{name}");
        assert_eq!(answers.len(), 1, "{name}: the row before it is answered");
    }
}

#[tokio::test]
async fn messages_come_as_the_frames_of_the_body_do_or_do_not() {
    let shop = shop().await;
    let sent: Vec<u8> = (1..=50).flat_map(|id| envelope(&row(&shop, id))).collect();
    for size in [1, 7, 4_096] {
        let frames: Vec<_> = sent.chunks(size).map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk)))).collect();
        let (status, read) = answer(&shop, StreamBody::new(stream::iter(frames)).boxed_unsync()).await;
        assert_eq!((status, read.is_empty()), (Some("0".into()), false), "frames of {size} bytes");
    }
    let total = shop.grpc("ArtistService/ListArtists", json!({"page_size": 1, "with_total": true})).await.unwrap();
    assert_eq!(total["total_size"], json!(50));
}

/// An HTTP/1.1 connection goes on only after the whole request is read, and HTTP/2 counts what nobody reads against the connection.
#[tokio::test]
async fn what_is_sent_after_a_refusal_is_drained() {
    let shop = shop().await;
    let (send, frames) = tokio::sync::mpsc::channel::<Vec<u8>>(1);
    let frames =
        stream::unfold(frames, |mut frames| async { frames.recv().await.map(|frame| (Ok(Frame::data(Bytes::from(frame))), frames)) });
    let unreadable = envelope(&[0xff]);
    let row = envelope(&row(&shop, 1));
    let sending = async move {
        send.send(unreadable).await.unwrap();
        for _ in 0..100 {
            send.send(row.clone()).await.unwrap();
        }
    };
    let answering = answer(&shop, StreamBody::new(frames.boxed()).boxed_unsync());
    let both = tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(sending, answering) }).await;
    assert_eq!(both.unwrap().1.0.as_deref(), Some("3"));
}

/// The status of the trailers, and the bytes of the answer.
async fn answer(shop: &Shop, body: Body) -> (Option<String>, Bytes) {
    let request = http::Request::post(format!("/shop.v1.{INGEST}")).header("content-type", "application/grpc").header("te", "trailers");
    let response = shop.grpc.serve(context(), request.body(body).unwrap()).await;
    let head = response.headers().clone();
    let collected = response.into_body().collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or(head);
    (trailers.get("grpc-status").map(|status| status.to_str().unwrap().to_owned()), collected.to_bytes())
}
