//! The one who publishes.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::Kind;
use super::crowd::Crowd;
use crate::Failure;
use crate::server::Server;

/// What stands before the stamp of a message.
pub const MARK: &[u8] = b"\"t\":\"";
/// Digits of a stamp, ns.
pub const STAMP_DIGITS: usize = 15;

/// How fast.
#[derive(Clone, Copy)]
pub enum Pace {
    /// As fast as so many deliveries under way let it.
    Window(u64),
    /// So many messages a second.
    EverySecond(u64),
}

/// Publishes for a time; how many.
pub async fn publish(server: &Server, kind: Kind, crowd: &Crowd, pace: Pace, time: Duration) -> Result<u64, Failure> {
    let stream = TcpStream::connect(&server.authority).await?;
    stream.set_nodelay(true)?;
    let (mut socket, _) = client_async(format!("ws://{}/connection/websocket", server.authority), stream).await?;
    if kind == Kind::Ours {
        say(&mut socket, format!("{{\"id\":1,\"connect\":{{\"token\":\"{}\"}}}}", server.token)).await?;
    }
    let (mut out, mut replies) = socket.split();
    let answered = tokio::spawn(async move {
        while let Some(Ok(message)) = replies.next().await {
            if message.to_text().is_ok_and(|text| text.contains("\"error\":")) {
                return Err(Failure::from(message.to_string()));
            }
        }
        Ok(())
    });
    let start = tokio::time::Instant::now();
    let mut published = 0;
    while start.elapsed() < time && !answered.is_finished() {
        match pace {
            Pace::Window(deliveries) => crowd.wait_for(((published + 1) * crowd.subscribers).saturating_sub(deliveries)).await?,
            Pace::EverySecond(messages) => {
                tokio::time::sleep_until(start + Duration::from_secs(1) * published as u32 / messages as u32).await
            }
        }
        published += 1;
        out.send(Message::text(message(kind, published, crowd.now_ns()))).await?;
    }
    crowd.wait_for(published * crowd.subscribers).await?;
    out.close().await?;
    answered.await??;
    Ok(published)
}

/// What is sent for one publication; to the bare server what Fourfold makes of it.
fn message(kind: Kind, number: u64, now_ns: u64) -> String {
    let data = format!("{{\"t\":\"{now_ns:015}\",\"text\":\"what is said to all who are here\"}}");
    match kind {
        Kind::Ours => format!("{{\"id\":{},\"publish\":{{\"channel\":\"board:public\",\"data\":{data}}}}}", number + 1),
        Kind::Bare => {
            let info = "\"info\":{\"user\":\"bench\",\"client\":\"00000000-0000-0000-0000-000000000000\"}";
            format!("{{\"push\":{{\"channel\":\"board:public\",\"pub\":{{\"data\":{data},\"offset\":{number},{info}}}}}}}")
        }
    }
}

/// Says one thing and waits for what is answered; the server's pings are answered on the way.
pub async fn say<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, text: String) -> Result<String, Failure> {
    socket.send(Message::text(text)).await?;
    loop {
        match socket.next().await.ok_or("the server closed the socket")?? {
            Message::Text(text) if text.as_str() == "{}" => socket.send(Message::text("{}")).await?,
            Message::Text(text) if text.contains("\"error\":") => return Err(text.to_string().into()),
            Message::Text(text) => return Ok(text.to_string()),
            Message::Close(frame) => return Err(format!("closed: {frame:?}").into()),
            _ => {}
        }
    }
}
