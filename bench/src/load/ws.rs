//! Calls over the WebSocket, one at a time on each connection.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::Shared;
use super::counted::Counted;
use crate::Failure;

/// One caller; `make` gives the `rpc` object of a command.
pub async fn call(
    authority: String,
    token: Option<String>,
    make: Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>,
    shared: Arc<Shared>,
) -> Result<(), Failure> {
    let stream = Counted::connect(&authority, shared.bytes.clone()).await?;
    let (mut socket, _) = client_async(format!("ws://{authority}/connection/websocket"), stream).await?;
    let token = token.map(|token| format!("\"token\":\"{token}\"")).unwrap_or_default();
    exchange(&mut socket, format!("{{\"id\":1,\"connect\":{{{token}}}}}")).await?;
    let mut id = 1_u64;
    while let Some(number) = shared.next() {
        id += 1;
        let rpc = String::from_utf8(make(number))?;
        exchange(&mut socket, format!("{{\"id\":{id},\"rpc\":{rpc}}}")).await?;
        shared.answered();
    }
    Ok(())
}

/// Sends a command and waits for its reply; the server's pings are answered on the way.
async fn exchange(socket: &mut WebSocketStream<Counted>, command: String) -> Result<(), Failure> {
    socket.send(Message::text(command)).await?;
    loop {
        let Some(message) = socket.next().await else { return Err("the server closed the socket".into()) };
        match message? {
            Message::Text(text) if text.as_str() == "{}" => socket.send(Message::text("{}")).await?,
            Message::Text(text) if text.contains("\"error\":") => return Err(text.to_string().into()),
            Message::Text(_) => return Ok(()),
            Message::Close(frame) => return Err(format!("closed: {frame:?}").into()),
            _ => {}
        }
    }
}
