//! The two forms of the protocol: JSON, an object a line; Protobuf, each message after its length.

use bytes::Bytes;
use prost::Message as _;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use fourfold_op::Error;

use crate::json;
use crate::message::{Answer, Command, ErrorReply, Push, Pushed, Reply};

/// In which form a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// In text messages.
    Json,
    /// In binary messages.
    Protobuf,
}

/// What is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Codec {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Codec::Json => "json",
            Codec::Protobuf => "protobuf",
        }
    }

    /// The commands of one frame.
    pub(crate) fn commands(self, frame: &[u8], depth_max: usize) -> Commands<'_> {
        Commands { codec: self, rest: frame, depth_max }
    }
}

/// The commands of a frame; after what is malformed there are none.
pub(crate) struct Commands<'a> {
    codec: Codec,
    rest: &'a [u8],
    depth_max: usize,
}

impl Iterator for Commands<'_> {
    type Item = Result<Command, Malformed>;

    fn next(&mut self) -> Option<Result<Command, Malformed>> {
        let read = match self.codec {
            Codec::Json => json::command(self.line()?, self.depth_max),
            Codec::Protobuf if self.rest.is_empty() => return None,
            Codec::Protobuf => Command::decode_length_delimited(&mut self.rest).map_err(|_| Malformed),
        };
        if read.is_err() {
            self.rest = &[];
        }
        Some(read)
    }
}

impl<'a> Commands<'a> {
    /// The next line that is not empty.
    fn line(&mut self) -> Option<&'a str> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
            let (line, rest) = self.rest.split_at(end);
            self.rest = rest.get(1..).unwrap_or_default();
            // A text message is UTF-8, and so is each of its lines.
            let line = std::str::from_utf8(line).unwrap_or("?").trim();
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    }
}

/// Replies that go out together.
pub(crate) struct Out {
    codec: Codec,
    bytes: Vec<u8>,
}

impl Out {
    pub(crate) fn new(codec: Codec) -> Out {
        Out { codec, bytes: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends the answer to a command.
    pub(crate) fn answer(&mut self, id: u32, answer: Answer) {
        self.reply(&Reply { id, answer: Some(answer) });
    }

    /// Appends an error: `{"id":7,"error":{"code":1412,"message":"revision_mismatch: …","temporary":false}}` (`SPEC` §7).
    pub(crate) fn error(&mut self, id: u32, error: &Error) {
        let row = error.code.row();
        self.answer(id, Answer::Error(ErrorReply { code: row.websocket, message: message(error), temporary: row.temporary }));
    }

    /// Appends what a channel is told.
    pub(crate) fn push(&mut self, channel: &str, pushed: Pushed) {
        self.answer(0, Answer::Push(Push { channel: channel.to_owned(), pushed: Some(pushed) }));
    }

    /// Appends a reply as it is written already; `more` like it follow.
    pub(crate) fn append(&mut self, written: &[u8], more: usize) {
        if self.bytes.capacity() - self.bytes.len() <= written.len() {
            self.bytes.reserve((written.len() + 1) * (more + 1));
        }
        if self.codec == Codec::Json && !self.bytes.is_empty() {
            self.bytes.push(b'\n');
        }
        self.bytes.extend_from_slice(written);
    }

    /// What was appended, for [`Out::append`].
    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes.into()
    }

    /// Appends our ping.
    pub(crate) fn ping(&mut self) {
        self.reply(&Reply::default());
    }

    fn reply(&mut self, reply: &Reply) {
        match self.codec {
            Codec::Json => {
                if !self.bytes.is_empty() {
                    self.bytes.push(b'\n');
                }
                json::write_reply(&mut self.bytes, reply);
            }
            Codec::Protobuf => self.bytes.extend_from_slice(&reply.encode_length_delimited_to_vec()),
        }
    }

    /// What was appended, as one message; it is empty after. An error is our own: text that is not UTF-8.
    pub(crate) fn take(&mut self) -> Result<Message, std::str::Utf8Error> {
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        match self.codec {
            Codec::Json => Utf8Bytes::try_from(bytes).map(Message::Text),
            Codec::Protobuf => Ok(Message::Binary(bytes)),
        }
    }
}

/// The protocol has room for one sentence; which operation of a batch it was belongs into it.
fn message(error: &Error) -> String {
    match error.public.operation {
        Some(operation) => format!("{}: operation {operation}: {}", error.code.name(), error.public.message),
        None => error.to_string(),
    }
}
