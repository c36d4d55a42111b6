//! The client's side of a WebSocket of Fourfold: it connects, subscribes, and is then bytes.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::Failure;
use crate::server::Server;

/// A socket that is open and has not said anything.
pub async fn open(server: &Server, stream: TcpStream) -> Result<WebSocketStream<TcpStream>, Failure> {
    stream.set_nodelay(true)?;
    Ok(client_async(format!("ws://{}/connection/websocket", server.authority), stream).await?.0)
}

/// A socket whose client has connected.
pub async fn connect(server: &Server, stream: TcpStream) -> Result<WebSocketStream<TcpStream>, Failure> {
    let mut socket = open(server, stream).await?;
    ask(&mut socket, &[format!("{{\"id\":1,\"connect\":{{\"token\":\"{}\"}}}}", server.token)]).await?;
    Ok(socket)
}

/// A socket that is subscribed to channels.
pub async fn subscribe(server: &Server, stream: TcpStream, channels: &[String]) -> Result<WebSocketStream<TcpStream>, Failure> {
    let mut socket = connect(server, stream).await?;
    let numbered = channels.iter().enumerate();
    let commands: Vec<String> =
        numbered.map(|(at, channel)| format!("{{\"id\":{},\"subscribe\":{{\"channel\":\"{channel}\"}}}}", at + 2)).collect();
    ask(&mut socket, &commands).await?;
    Ok(socket)
}

/// Sends commands in one message and waits for their replies, a line each; the server's pings are answered on the way.
pub async fn ask(socket: &mut WebSocketStream<TcpStream>, commands: &[String]) -> Result<Vec<String>, Failure> {
    socket.send(Message::text(commands.join("\n"))).await?;
    let mut replies = Vec::new();
    while replies.len() < commands.len() {
        let message = socket.next().await.ok_or("the server closed the socket")??;
        if let Message::Close(frame) = &message {
            return Err(format!("closed: {frame:?}").into());
        }
        for line in message.to_text()?.lines() {
            match line {
                "{}" => socket.send(Message::text("{}")).await?,
                line if line.contains("\"error\":") => return Err(line.to_owned().into()),
                line => replies.push(line.to_owned()),
            }
        }
    }
    Ok(replies)
}
