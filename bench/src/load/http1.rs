//! HTTP/1.1 with keep-alive, by hand, so that the generator costs little.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Shared;
use super::counted::Counted;
use crate::Failure;

/// One request: method, path, body; and the token, if it needs one.
pub fn request(method: &str, path: &str, content_type: &str, body: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length =
        if body.is_empty() { String::new() } else { format!("content-type: {content_type}\r\ncontent-length: {}\r\n", body.len()) };
    format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{authorization}{length}\r\n{body}").into_bytes()
}

/// One caller on one connection.
pub async fn call(authority: String, make: Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>, shared: Arc<Shared>) -> Result<(), Failure> {
    let mut stream = Counted::connect(&authority, shared.bytes.clone()).await?;
    let mut buffer = Vec::with_capacity(64 << 10);
    while let Some(number) = shared.next() {
        stream.write_all(&make(number)).await?;
        answer(&mut stream, &mut buffer).await?;
        shared.answered();
    }
    Ok(())
}

/// Sends one request and gives its whole answer's body.
pub async fn once(authority: &str, request: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut stream = Counted::connect(authority, Arc::default()).await?;
    stream.write_all(request).await?;
    let mut buffer = Vec::new();
    let head = answer(&mut stream, &mut buffer).await?;
    Ok(buffer[head..].to_vec())
}

/// Reads one answer into the buffer; where its body begins. Anything but 2xx is a failure.
pub async fn answer(stream: &mut Counted, buffer: &mut Vec<u8>) -> Result<usize, Failure> {
    buffer.clear();
    let head = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, buffer).await?;
    };
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    if let Some(length) = text.split_once("content-length: ").and_then(|(_, rest)| rest.split("\r\n").next()?.trim().parse::<usize>().ok())
    {
        while buffer.len() < head + length {
            more(stream, buffer).await?;
        }
    } else if text.contains("transfer-encoding: chunked") {
        while !buffer.ends_with(b"0\r\n\r\n") {
            more(stream, buffer).await?;
        }
    }
    if text.as_bytes().get(9) == Some(&b'2') { Ok(head) } else { Err(String::from_utf8_lossy(buffer).into_owned().into()) }
}

async fn more(stream: &mut Counted, buffer: &mut Vec<u8>) -> Result<(), Failure> {
    if stream.read_buf(buffer).await? == 0 {
        return Err("the server closed the connection".into());
    }
    Ok(())
}
