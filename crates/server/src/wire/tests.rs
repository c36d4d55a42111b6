#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

/// How a stream ends: all of it passed, so many passed, or which refusal.
fn run(stream: &[u8]) -> String {
    describe(Wire::new(HeadLimits::default()).check(stream), stream.len())
}

fn describe(verdict: Verdict, length: usize) -> String {
    match verdict {
        Verdict::Pass(n) if n == length => "all".to_owned(),
        Verdict::Pass(n) => format!("pass {n}"),
        Verdict::RefuseHead(at, error) => format!("{at}: {} {}", error.http_status(), error.public.message),
        Verdict::RefuseBody => "body".to_owned(),
    }
}

fn check(stream: &str, expect: &str) {
    assert_eq!(run(stream.as_bytes()), expect, "for {stream:?}");
}

#[test]
fn requests_that_are_well_formed_pass() {
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "all");
    check("GET / HTTP/1.0\r\n\r\n", "all");
    check("\r\nGET / HTTP/1.1\r\nHost: a:80\r\n\r\nGET /2 HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "all");
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n", "all");
    check(
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: x\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "all",
    );
}

#[test]
fn an_unfinished_head_waits() {
    check("GET / HTTP/1.1\r\nHost: a\r\n", "pass 0");
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", "pass 27");
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    check("GET / HTTP/1.1\nHost: a\n\n", "0: 400 a line ends with a bare LF; lines end with CR LF");
    check("GET / HTTP/1.1\r\nHost: a\n\r\n", "0: 400 a line ends with a bare LF; lines end with CR LF");
    check("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "0: 400 a bare CR stands in the head; lines end with CR LF");
    check("GET / HTTP/1.1\r\n\r\n", "0: 400 there is no `Host`");
    check("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "0: 400 there is more than one `Host`");
    check("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "0: 400 `Host` is not a host with an optional port");
    check("GET / HTTP/1.1\r\nHost:\r\n\r\n", "0: 400 `Host` is not a host with an optional port");
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0: 400 both `Content-Length` and `Transfer-Encoding` are given",
    );
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", "0: 400 there is more than one `Content-Length`");
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", "0: 400 `Content-Length` is not a number of bytes");
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        "0: 400 `Transfer-Encoding` is not `chunked`, the only one served",
    );
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0: 400 there is more than one `Transfer-Encoding`",
    );
    check("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "0: 400 a header name is not a token");
    check("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "0: 400 a header line has no colon");
    check("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "0: 400 the request line is not `METHOD TARGET HTTP/1.1`");
}

#[test]
fn malformed_chunks_are_refused() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in ["ffffffffffffffff\r\n", "3\nabc\r\n", "3 \r\nabc", "\r\n", "3\r\nabcd", "g\r\n", "0\r\nX: y\n\r\n"] {
        check(&format!("{head}{body}"), "body");
    }
    check(&format!("{head}1{}\r\n", ";".repeat(300)), "body");
}

#[test]
fn heads_beyond_a_limit_name_it() {
    let long = "a".repeat(8193);
    check(&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), "0: 414 more than 8192 bytes (limit `uri_bytes_max`)");
    check(&format!("GET /{long}{long}"), "0: 414 more than 8192 bytes (limit `uri_bytes_max`)");
    check(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}{long}\r\n\r\n"), "0: 431 more than 16384 bytes (limit `header_bytes_max`)");
    check(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}{long}"), "0: 431 more than 16384 bytes (limit `header_bytes_max`)");
    check(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(64)), "0: 431 more than 64 fields (limit `header_fields_max`)");
}

#[test]
fn a_tunnel_passes_everything_once_the_answer_is_101() {
    let mut wire = Wire::new(HeadLimits::default());
    let ask = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(describe(wire.check(ask), ask.len()), "all");
    assert_eq!(describe(wire.check(b"\n\n"), 2), "pass 0");
    wire.answered(b"HTTP/1.1 101 Switching Protocols\r\n");
    assert_eq!(describe(wire.check(b"\n\n"), 2), "all");
}

#[test]
fn a_refused_upgrade_goes_on_as_http() {
    let mut wire = Wire::new(HeadLimits::default());
    wire.check(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n");
    wire.answered(b"HTTP/1.1 200 OK\r\n");
    assert_eq!(describe(wire.check(b"GET /\n"), 6), "0: 400 a line ends with a bare LF; lines end with CR LF");
}

#[test]
fn bytes_one_by_one_come_to_the_same_end() {
    let stream = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut wire = Wire::new(HeadLimits::default());
    let mut held: Vec<u8> = Vec::new();
    for byte in stream {
        held.push(*byte);
        let Verdict::Pass(n) = wire.check(&held) else { panic!("refused") };
        held.drain(..n);
    }
    assert!(held.is_empty() && wire.expects_head());
}
