//! A socket that subscribes and does not read, until it is woken.

use futures_util::StreamExt;
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::Failure;
use crate::events::{BOARD, NOTES, socket};
use crate::server::Server;

/// As behind a network, not a loopback device: else a pipe takes megabytes before it is full.
const SEGMENT_BYTES: u32 = 1_448;
/// What its own end takes.
const RECEIVE_BYTES: usize = 4 << 10;
const READ_WITHIN: Duration = Duration::from_secs(20);

/// A socket that is subscribed to publications and rows.
pub struct Sleeper {
    socket: WebSocketStream<TcpStream>,
    rows: Rows,
}

/// One that has read what there was, to its end.
pub struct Woken {
    /// Whether it read before its end.
    pub was_early: bool,
    /// With what code the server closed it; none where the pipe was too full for that.
    pub code: Option<u16>,
    heard: Vec<Message>,
    rows: Rows,
}

/// How far the rows were told, and that without a gap.
#[derive(Clone)]
struct Rows {
    epoch: String,
    offset: u64,
}

impl Sleeper {
    /// Subscribes.
    pub async fn subscribe(server: &Server) -> Result<Sleeper, Failure> {
        let mut socket = socket::connect(server, narrow(&server.authority)?).await?;
        let mut rows = Rows { epoch: String::new(), offset: 0 };
        let commands = [BOARD, NOTES].map(|channel| format!("{{\"id\":2,\"subscribe\":{{\"channel\":\"{channel}\"}}}}"));
        let replies = socket::ask(&mut socket, &commands).await?;
        let reply: Value = serde_json::from_str(replies.last().ok_or("no reply")?)?;
        rows.begin(&reply["subscribe"])?;
        Ok(Sleeper { socket, rows })
    }

    /// Reads all there is, to the end. What it was told is looked at later, so that it takes no time from those who are measured.
    pub async fn wake(mut self, was_early: bool) -> Result<Woken, Failure> {
        let (mut code, mut heard) = (None, Vec::new());
        // A server that gave up writing leaves a message in pieces and no close.
        while let Some(Ok(message)) = timeout(READ_WITHIN, self.socket.next()).await.map_err(|_| "a stalled socket never ends")? {
            match message {
                Message::Close(frame) => code = frame.map(|frame| frame.code.into()),
                message => heard.push(message),
            }
        }
        Ok(Woken { was_early, code, heard, rows: self.rows })
    }
}

impl Woken {
    /// Goes on from where it was, to a position of the log.
    pub async fn resume(&self, server: &Server, head: u64) -> Result<(), Failure> {
        let mut rows = self.rows.clone();
        for message in &self.heard {
            rows.take(message.to_text()?)?;
        }
        let mut socket = socket::connect(server, TcpStream::connect(&server.authority).await?).await?;
        let Rows { epoch, offset } = &rows;
        let command =
            format!("{{\"id\":2,\"subscribe\":{{\"channel\":\"{NOTES}\",\"recover\":true,\"epoch\":\"{epoch}\",\"offset\":{offset}}}}}");
        let replies = socket::ask(&mut socket, &[command]).await?;
        let reply: Value = serde_json::from_str(replies.first().ok_or("no reply")?)?;
        if reply["subscribe"]["recovered"] != true {
            return Err(format!("a stalled subscriber does not recover from {offset}").into());
        }
        for line in replies {
            rows.take(&line)?;
        }
        while rows.offset < head {
            let next = timeout(READ_WITHIN, socket.next()).await.map_err(|_| "a subscriber that goes on misses rows")?;
            rows.take(next.ok_or("the server ended one that went on")??.to_text()?)?;
        }
        Ok(())
    }
}

impl Rows {
    fn begin(&mut self, subscribed: &Value) -> Result<(), Failure> {
        self.epoch = subscribed["epoch"].as_str().ok_or("no epoch")?.to_owned();
        self.offset = subscribed["offset"].as_u64().ok_or("no offset")?;
        Ok(())
    }

    /// Each row that is told must follow the one before: nothing but these rows is in the log.
    fn take(&mut self, message: &str) -> Result<(), Failure> {
        for line in message.lines() {
            let line: Value = serde_json::from_str(line)?;
            let pushed = &line["push"];
            let missed = line["subscribe"]["publications"].as_array().into_iter().flatten();
            let told = (pushed["channel"] == NOTES).then_some(&pushed["pub"]);
            for offset in missed.chain(told).filter_map(|publication| publication["offset"].as_u64()) {
                if offset != self.offset + 1 {
                    return Err(format!("after row {} came {offset}", self.offset).into());
                }
                self.offset = offset;
            }
        }
        Ok(())
    }
}

/// A connection whose pipe holds little.
fn narrow(authority: &str) -> Result<TcpStream, Failure> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    socket.set_tcp_mss(SEGMENT_BYTES)?;
    socket.connect(&authority.parse::<std::net::SocketAddr>()?.into())?;
    socket.set_nonblocking(true)?;
    Ok(TcpStream::from_std(socket.into())?)
}
