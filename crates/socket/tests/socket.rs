//! The socket over a stream that takes as much as it is told to.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use fourfold_socket::{Draft, Ended, Kind, Limits, Message, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const LIMITS: Limits = Limits { message_bytes_max: 1 << 20, out_bytes_max: 1 << 20 };
const WITHIN: Duration = Duration::from_secs(5);

/// A frame of a client, with a mask of nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, 0xFF];
    frame.extend((payload.len() as u64).to_be_bytes());
    if payload.len() < 126 {
        frame = vec![first, 0x80 | payload.len() as u8];
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn opened(pipe_bytes: usize) -> (Socket<DuplexStream>, DuplexStream) {
    let (ours, theirs) = duplex(pipe_bytes);
    (Socket::new(ours, LIMITS), theirs)
}

async fn is_silent(socket: &mut Socket<DuplexStream>) -> bool {
    let mut next = pin!(socket.next());
    poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending())).await
}

#[tokio::test]
async fn an_idle_socket_holds_no_buffer() {
    let (mut socket, mut client) = opened(4 << 20);
    assert!(is_silent(&mut socket).await);
    assert_eq!(socket.held_bytes(), 0, "before anything is said");
    let large = vec![b'a'; 600 << 10];
    client.write_all(&[frame(0x81, &large), frame(0x89, b"there?"), frame(0x82, b"b")].concat()).await.unwrap();
    assert_eq!(socket.next().await, Ok(Message::Text(String::from_utf8(large.clone()).unwrap())));
    assert_eq!(socket.next().await, Ok(Message::Ping));
    assert_eq!(socket.next().await, Ok(Message::Binary(b"b".to_vec())));
    socket.feed(Kind::Binary, Draft::from(&*large)).unwrap();
    socket.flush().await.unwrap();
    assert!(is_silent(&mut socket).await);
    assert_eq!(socket.held_bytes(), 0, "after what was said and answered");
}

#[tokio::test]
async fn messages_go_out_whole_through_a_stream_that_takes_little_at_once() {
    let (mut socket, mut client) = opened(3);
    let expected = [&b"\x81\x02hi"[..], b"\x82\x7E\x00\xC8", &[7; 200], b"\x89\x00"].concat();
    let told = tokio::spawn(async move {
        socket.feed(Kind::Text, Draft::from(&b"hi"[..])).unwrap();
        socket.feed(Kind::Binary, Draft::from(&[7; 200][..])).unwrap();
        socket.feed_ping();
        socket.flush().await.unwrap();
        socket.held_bytes()
    });
    let mut read = vec![0; expected.len()];
    client.read_exact(&mut read).await.unwrap();
    assert_eq!((read, told.await.unwrap()), (expected, 0));
}

#[tokio::test]
async fn of_many_pings_that_wait_only_the_newest_is_kept() {
    let (ours, theirs) = duplex(64);
    let (mut client, mut to_client) = tokio::io::split(theirs);
    let mut socket = Socket::new(ours, LIMITS);
    let pings: Vec<u8> = (0..200_u8).flat_map(|number| frame(0x89, &[number; 60])).collect();
    let sent = tokio::spawn(async move { to_client.write_all(&pings).await.map(|()| to_client) });
    for _ in 0..200 {
        assert_eq!(socket.next().await, Ok(Message::Ping));
        assert!(socket.held_bytes() < 1 << 10, "{} bytes are held", socket.held_bytes());
    }
    let _writer = sent.await.unwrap().unwrap();
    let flushed = tokio::spawn(async move { socket.flush().await });
    let (mut pongs, mut pong) = (Vec::new(), [0; 62]);
    while pongs.last() != Some(&199) {
        client.read_exact(&mut pong).await.unwrap();
        assert_eq!(pong[..2], [0x8A, 60]);
        pongs.push(pong[2]);
    }
    assert!(pongs.len() < 200, "{pongs:?}");
    flushed.await.unwrap().unwrap();
}

#[tokio::test]
async fn more_than_may_wait_is_not_taken() {
    let (ours, _client) = duplex(64);
    let mut socket = Socket::new(ours, Limits { out_bytes_max: 100, ..LIMITS });
    assert_eq!(socket.feed(Kind::Text, Draft::from(&[b'a'; 90][..])), Ok(()));
    assert_eq!(socket.feed(Kind::Text, Draft::from(&[b'a'; 90][..])), Err(Ended::Gone));
}

#[tokio::test]
async fn a_close_is_answered_and_ends_at_once() {
    let (mut socket, mut client) = opened(1 << 10);
    client.write_all(&frame(0x88, b"\x0F\xA1bye")).await.unwrap();
    assert_eq!(socket.next().await, Err(Ended::Closed));
    socket.close(Some((1000, "not said: the other side was first")), WITHIN).await;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"\x88\x02\x0F\xA1");
}

#[tokio::test]
async fn our_close_waits_for_the_other_sides_and_reads_over_what_comes_before() {
    let (mut socket, mut client) = opened(8 << 20);
    let large = [&[0x82, 0xFF][..], &(2_u64 << 20).to_be_bytes(), &[0; 4]].concat();
    client.write_all(&large).await.unwrap();
    assert_eq!(socket.next().await, Err(Ended::TooLarge));
    client.write_all(&vec![0x88; 2 << 20]).await.unwrap();
    client.write_all(&frame(0x88, b"\x03\xE8")).await.unwrap();
    socket.close(Some((1009, &"é".repeat(100))), WITHIN).await;
    let mut close = Vec::new();
    client.read_to_end(&mut close).await.unwrap();
    let expected = [&[0x88, 124, 0x03, 0xF1][..], "é".repeat(61).as_bytes()].concat();
    assert_eq!(close, expected);
}

#[tokio::test]
async fn a_stream_that_ends_is_gone() {
    let (mut socket, client) = opened(64);
    drop(client);
    assert_eq!(socket.next().await, Err(Ended::Gone));
}
