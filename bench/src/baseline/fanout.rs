//! Messages of one socket to all others, by tokio-tungstenite alone: a bounded queue for each socket, and one flush for what waits in it.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async};

use crate::Failure;

/// Messages that wait for one socket.
const QUEUE: usize = 1_024;

type Queues = Arc<Mutex<Vec<mpsc::Sender<Utf8Bytes>>>>;

/// Serves until killed. A socket that says `subscribe` is told everything that others say.
pub async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let queues = Queues::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let queues = queues.clone();
        tokio::spawn(async move { talk(stream, queues).await });
    }
}

async fn talk(stream: TcpStream, queues: Queues) -> Result<(), Failure> {
    let (mut out, mut said) = accept_async(stream).await?.split();
    let Some(first) = next(&mut said).await? else { return Ok(()) };
    if first.as_str() != "subscribe" {
        return publish(first, said, queues).await;
    }
    let (queue, mut waiting) = mpsc::channel(QUEUE);
    queues.lock().unwrap_or_else(PoisonError::into_inner).push(queue);
    out.send(Message::text("subscribed")).await?;
    while let Some(message) = waiting.recv().await {
        out.feed(Message::Text(message)).await?;
        while let Ok(message) = waiting.try_recv() {
            out.feed(Message::Text(message)).await?;
        }
        out.flush().await?;
    }
    Ok(())
}

async fn publish(first: Utf8Bytes, mut said: SplitStream<WebSocketStream<TcpStream>>, queues: Queues) -> Result<(), Failure> {
    let mut message = Some(first);
    while let Some(text) = message {
        for queue in queues.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            queue.try_send(text.clone()).map_err(|_| "a subscriber is too slow")?;
        }
        message = next(&mut said).await?;
    }
    Ok(())
}

async fn next(said: &mut SplitStream<WebSocketStream<TcpStream>>) -> Result<Option<Utf8Bytes>, Failure> {
    match said.next().await.transpose()? {
        Some(Message::Text(text)) => Ok(Some(text)),
        _ => Ok(None),
    }
}
