//! The two forms of the protocol: JSON, an object a line; Protobuf, each message after its length.

use bytes::Bytes;
use prost::Message as _;

use fourfold_op::Error;

use crate::json;
use crate::message::{Answer, Command, ErrorReply, Malformed, Push, Pushed, Reply};
use crate::socket::{Draft, Kind};

/// In which form a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// In text messages.
    Json,
    /// In binary messages.
    Protobuf,
}

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
    draft: Draft,
}

impl Out {
    pub(crate) fn new(codec: Codec) -> Out {
        Out { codec, draft: Draft::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.draft.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.draft.is_empty()
    }

    /// Appends the answer to a command.
    pub(crate) fn answer(&mut self, id: u32, answer: Answer) {
        self.reply(&Reply { id, answer: Some(answer) });
    }

    /// Appends an error: `{"id":7,"error":{"code":1412,"message":"revision_mismatch: …","temporary":false}}`.
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
        let end = self.separated();
        if end.capacity() - end.len() < written.len() {
            end.reserve(written.len() + more * (written.len() + 1));
        }
        end.extend_from_slice(written);
    }

    /// What was appended, for [`Out::append`].
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::copy_from_slice(self.draft.payload())
    }

    /// Appends our ping.
    pub(crate) fn ping(&mut self) {
        self.reply(&Reply::default());
    }

    fn reply(&mut self, reply: &Reply) {
        match self.codec {
            Codec::Json => json::write_reply(self.separated(), reply),
            Codec::Protobuf => self.draft.end().extend_from_slice(&reply.encode_length_delimited_to_vec()),
        }
    }

    /// Where the next reply is to be appended.
    fn separated(&mut self) -> &mut Vec<u8> {
        let follows = !self.is_empty();
        let end = self.draft.end();
        if self.codec == Codec::Json && follows {
            end.push(b'\n');
        }
        end
    }

    /// What was appended, as one message; it is empty after. An error is our own: text that is not UTF-8.
    pub(crate) fn take(&mut self) -> Result<(Kind, Draft), std::str::Utf8Error> {
        let draft = std::mem::take(&mut self.draft);
        match self.codec {
            Codec::Json => {
                std::str::from_utf8(draft.payload())?;
                Ok((Kind::Text, draft))
            }
            Codec::Protobuf => Ok((Kind::Binary, draft)),
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
