//! The bus between nodes: NOTIFY, on a session of its own.
//!
//! A payload of NOTIFY is shorter than 8,000 bytes, so a longer text goes in pieces, one after the other. What was not confirmed when a session
//! ended is sent again on the next one: it may be heard twice, and what others sent meanwhile was missed. Who speaks numbers what it says, and
//! so both are seen ([`fourfold_store::bus`]).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use fourfold_op::{Error, ErrorCode};
use fourfold_store::bus::{Bus, Hearers, TEXT_BYTES_MAX, check};
use futures_util::future::poll_fn;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_postgres::{AsyncMessage, Client, Statement};

use crate::Inner;
use crate::connect::Driven;
use crate::error::Fail;

/// What nodes hear.
const CHANNEL: &str = "fourfold_bus";
/// Bytes of texts that wait to be sent.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// Bytes of one piece of a text, without what stands before it.
const PIECE_BYTES_MAX: usize = 7_900;
/// Texts of one statement; and about so many bytes.
const BATCH_MAX: usize = 64;
const BATCH_BYTES_MAX: usize = 256 << 10;
/// Senders of whom a part of a text is held.
const SENDERS_MAX: usize = 1_024;
/// Pieces of one text: each character may have become two.
const PIECES_MAX: usize = 2 * TEXT_BYTES_MAX / PIECE_BYTES_MAX + 2;
/// How long a statement may take.
const SEND_MAX: Duration = Duration::from_secs(10);
/// How long a database that cannot be reached is left alone.
const RETRY: Duration = Duration::from_millis(250);
/// How long what waits has to be sent when the store is closed.
const FLUSH_MAX: Duration = Duration::from_secs(1);
/// What stands for a character that no text of PostgreSQL can hold; itself is written twice.
const ESCAPE: char = '\u{1}';

const NOTIFY: &str = "SELECT pg_notify($1, piece) FROM unnest($2::text[]) WITH ORDINALITY AS pieces (piece, place) ORDER BY place";

/// The bus of a store.
pub struct PostgresBus {
    /// Of this store: tells its texts from those of others.
    sender: String,
    hearers: Hearers,
    waiting: Mutex<Waiting>,
    more: Notify,
    sent: Notify,
}

#[derive(Default)]
struct Waiting {
    texts: VecDeque<String>,
    bytes: usize,
    /// The number of the first of them.
    first: u64,
}

impl PostgresBus {
    /// The bus of a store, whose session begins now.
    pub(crate) fn begin(inner: &Arc<Inner>) -> Arc<PostgresBus> {
        let sender = uuid::Uuid::new_v4().simple().to_string();
        let bus = PostgresBus { sender, hearers: Hearers::default(), waiting: Mutex::default(), more: Notify::new(), sent: Notify::new() };
        let bus = Arc::new(bus);
        tokio::spawn(run(Arc::downgrade(inner), bus.clone()));
        bus
    }

    /// Waits until what waits is sent, for a moment at most.
    pub(crate) async fn flush(&self) {
        let all = async {
            loop {
                let sent = self.sent.notified();
                if self.waiting.lock().texts.is_empty() {
                    return;
                }
                sent.await;
            }
        };
        // What is left is lost with this node.
        let _ = tokio::time::timeout(FLUSH_MAX, all).await;
    }

    /// The texts that are next, with the number of the first.
    fn batch(&self, texts_max: usize) -> (u64, Vec<String>) {
        let waiting = self.waiting.lock();
        let mut bytes = 0;
        let fits = |text: &&String| {
            bytes += text.len();
            bytes <= BATCH_BYTES_MAX
        };
        let next: Vec<String> = waiting.texts.iter().take(texts_max).take_while(fits).cloned().collect();
        match (next.is_empty(), waiting.texts.front()) {
            (true, Some(large)) => (waiting.first, vec![large.clone()]),
            _ => (waiting.first, next),
        }
    }

    fn done(&self, count: usize) {
        let mut waiting = self.waiting.lock();
        let gone: usize = waiting.texts.drain(..count).map(|text| text.len()).sum();
        waiting.bytes -= gone;
        waiting.first += count as u64;
        drop(waiting);
        self.sent.notify_waiters();
    }
}

impl Bus for PostgresBus {
    fn send(&self, text: String) -> Result<(), Error> {
        check(&text)?;
        let mut waiting = self.waiting.lock();
        if waiting.bytes + text.len() > WAITING_BYTES_MAX {
            let message = format!("{WAITING_BYTES_MAX} bytes wait to be told to other nodes; try again later");
            return Err(Error::new(ErrorCode::Overloaded, message));
        }
        waiting.bytes += text.len();
        waiting.texts.push_back(text);
        drop(waiting);
        self.more.notify_one();
        Ok(())
    }

    fn hear(&self) -> mpsc::Receiver<Arc<str>> {
        self.hearers.add()
    }
}

/// Keeps a session, for as long as the store is open.
async fn run(weak: Weak<Inner>, bus: Arc<PostgresBus>) {
    while let Some(inner) = weak.upgrade().filter(|inner| !inner.is_closed()) {
        // Why one ended is learnt by whoever needs the database; here it is tried again.
        let _ = session(&inner, &bus).await;
        drop(inner);
        let Some(inner) = weak.upgrade() else { return };
        tokio::select! {
            () = inner.closing() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn session(inner: &Arc<Inner>, bus: &Arc<PostgresBus>) -> Result<(), Fail> {
    let (client, connection) = inner.direct.target.connect().await?;
    let driver = tokio::spawn(drive(connection, bus.clone()));
    // One that others wait for is not to end because nothing is said.
    client.batch_execute(&format!("LISTEN {CHANNEL}; SET idle_session_timeout = 0")).await?;
    let notify = client.prepare(NOTIFY).await?;
    let done = tokio::select! {
        () = inner.closing() => Ok(()),
        done = send_all(&client, &notify, bus) => done,
    };
    drop(client);
    driver.abort();
    done
}

/// Sends what there is, and waits for more; it ends with its connection.
async fn send_all(client: &Client, notify: &Statement, bus: &PostgresBus) -> Result<(), Fail> {
    let mut texts_max = BATCH_MAX;
    loop {
        let (first, texts) = bus.batch(texts_max);
        if texts.is_empty() {
            tokio::select! {
                () = bus.more.notified() => {}
                () = tokio::time::sleep(SEND_MAX) => {}
            }
            if client.is_closed() {
                return Err(Fail::Lost("the session of the bus ended".into()));
            }
            continue;
        }
        let numbered = (first..).zip(&texts);
        let pieces: Vec<String> = numbered.flat_map(|(number, text)| pieces(&bus.sender, number, text)).collect();
        match tokio::time::timeout(SEND_MAX, client.query(notify, &[&CHANNEL, &pieces])).await {
            Ok(Ok(_)) => {
                bus.done(texts.len());
                texts_max = BATCH_MAX;
            }
            // The database refuses one of them: alone, each shows whether it is the one, which is then left out.
            Ok(Err(error)) if error.as_db_error().is_some() && !client.is_closed() => match texts.len() {
                1 => bus.done(1),
                _ => texts_max = 1,
            },
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(Fail::Lost("the database did not take what is said".into())),
        }
    }
}

/// Drives a connection, and tells what it hears.
async fn drive(mut connection: Driven, bus: Arc<PostgresBus>) {
    let mut pieced = Pieced::default();
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(notification))) => {
                if let Some(text) = pieced.add(notification.payload()) {
                    bus.hearers.tell(&text.into());
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => {
                // Whoever waits for something to send is to see that it cannot be sent here.
                bus.more.notify_one();
                return;
            }
        }
    }
}

/// A text as payloads: who sends it, which of its texts, which piece of how many, and the piece.
fn pieces(sender: &str, number: u64, text: &str) -> Vec<String> {
    let escaped = escape(text);
    let mut cut = Vec::new();
    let mut rest = escaped.as_str();
    loop {
        let (piece, left) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES_MAX));
        cut.push(piece);
        rest = left;
        if rest.is_empty() {
            break;
        }
    }
    let count = cut.len();
    cut.into_iter().enumerate().map(|(index, piece)| format!("{sender} {number} {index} {count} {piece}")).collect()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, '1']),
            other => escaped.push(other),
        }
    }
    escaped
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            ESCAPE if chars.next() == Some('0') => '\0',
            other => other,
        });
    }
    plain
}

/// Texts of which not all pieces have come.
#[derive(Default)]
struct Pieced(HashMap<String, (u64, Vec<String>)>);

impl Pieced {
    /// Takes a payload; the whole text, where it was the last piece.
    fn add(&mut self, payload: &str) -> Option<String> {
        let mut parts = payload.splitn(5, ' ');
        let sender = parts.next()?;
        let (number, index, count): (u64, usize, usize) =
            (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let piece = parts.next()?;
        if count > PIECES_MAX || index >= count {
            return None;
        }
        if count == 1 {
            self.0.remove(sender);
            return Some(unescape(piece));
        }
        if index == 0 {
            if self.0.len() >= SENDERS_MAX {
                // Those that ended in the middle of a text; whoever is in one now is heard by its next.
                self.0.clear();
            }
            self.0.insert(sender.to_owned(), (number, Vec::new()));
        }
        let (of, pieces) = self.0.get_mut(sender)?;
        if *of != number || pieces.len() != index {
            self.0.remove(sender);
            return None;
        }
        pieces.push(piece.to_owned());
        if index + 1 < count {
            return None;
        }
        self.0.remove(sender).map(|(_, pieces)| unescape(&pieces.concat()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_text_comes_whole_whatever_its_length_and_characters() {
        let long = |text: &str, bytes: usize| text.repeat(bytes / text.len() + 1);
        for text in [
            "".to_owned(),
            "a b c".into(),
            "\0\u{1}0\u{1}\0".into(),
            long("ä", PIECE_BYTES_MAX),
            long("x", TEXT_BYTES_MAX - 1),
            long("\0", 9_000),
        ] {
            let mut pieced = Pieced::default();
            let payloads = pieces("s", 7, &text);
            assert!(payloads.iter().all(|payload| payload.len() < 8_000 && !payload.contains('\0')));
            let (last, before) = payloads.split_last().unwrap();
            assert!(before.iter().all(|payload| pieced.add(payload).is_none()));
            assert!(pieced.add(last) == Some(text));
            assert!(pieced.0.is_empty());
        }
    }

    #[test]
    fn pieces_of_several_senders_do_not_mix_and_a_text_that_broke_off_is_left_out() {
        let (long, mut pieced) = ("x".repeat(20_000), Pieced::default());
        let (a, b) = (pieces("a", 1, &long), pieces("b", 1, &long));
        for (of_a, of_b) in a[..2].iter().zip(&b[..2]) {
            assert_eq!((pieced.add(of_a), pieced.add(of_b)), (None, None));
        }
        assert_eq!(pieced.add(&b[2]), Some(long.clone()));
        // The session of `a` ended here; its next sends the text anew.
        let again: Vec<_> = pieces("a", 1, &long).iter().map(|payload| pieced.add(payload)).collect();
        assert_eq!(again, [None, None, Some(long.clone())]);
        assert_eq!(pieced.add(&a[2]), None);
        for odd in ["", "a", "a 1 0", "a x 0 1 t", "a 1 1 1 t", "a 1 5 9 t", "a 1 0 99999 t"] {
            assert_eq!(pieced.add(odd), None, "{odd}");
        }
    }
}
