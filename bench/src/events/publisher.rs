//! The one who publishes.

use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::mark::mark;
use super::{BOARD, socket};
use crate::Failure;
use crate::server::Server;

/// Whose socket it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Bare,
}

/// Publishes on one channel, and does not wait for the answers; an answer that is an error ends it.
pub struct Publisher {
    kind: Kind,
    text: String,
    out: SplitSink<WebSocketStream<TcpStream>, Message>,
    answers: JoinHandle<Result<(), Failure>>,
    published: u64,
}

impl Publisher {
    /// Connects. Each publication will hold the text.
    pub async fn connect(server: &Server, kind: Kind, text: &str) -> Result<Publisher, Failure> {
        let stream = TcpStream::connect(&server.authority).await?;
        let socket = match kind {
            Kind::Ours => socket::connect(server, stream).await?,
            Kind::Bare => socket::open(server, stream).await?,
        };
        let (out, mut replies) = socket.split();
        let answers = tokio::spawn(async move {
            while let Some(Ok(message)) = replies.next().await {
                if message.to_text().is_ok_and(|text| text.contains("\"error\":")) {
                    return Err(Failure::from(message.to_string()));
                }
            }
            Ok(())
        });
        Ok(Publisher { kind, text: text.to_owned(), out, answers, published: 0 })
    }

    /// How many so far.
    pub fn published(&self) -> u64 {
        self.published
    }

    /// Publishes once, with a number.
    pub async fn publish(&mut self, number: u64) -> Result<(), Failure> {
        if self.answers.is_finished() {
            return Err("the server refused a publication or ended the publisher".into());
        }
        self.published += 1;
        let message = self.message(number);
        Ok(self.out.send(Message::text(message)).await?)
    }

    /// Leaves; the answers must have been good.
    pub async fn leave(mut self) -> Result<(), Failure> {
        self.out.close().await?;
        self.answers.await?
    }

    /// What is sent for one publication; to the bare server what Fourfold makes of it.
    fn message(&self, number: u64) -> String {
        let (published, data) = (self.published, format!("{{\"t\":\"{}\",\"text\":\"{}\"}}", mark(number), self.text));
        match self.kind {
            Kind::Ours => format!("{{\"id\":{},\"publish\":{{\"channel\":\"{BOARD}\",\"data\":{data}}}}}", published + 1),
            Kind::Bare => {
                let info = "\"info\":{\"user\":\"bench\",\"client\":\"00000000-0000-0000-0000-000000000000\"}";
                format!("{{\"push\":{{\"channel\":\"{BOARD}\",\"pub\":{{\"data\":{data},\"offset\":{published},{info}}}}}}}")
            }
        }
    }
}
