#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const MAX: usize = 1_000;
const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        long => frame.extend([0xFE, (long >> 8) as u8, long as u8]),
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Everything that comes, the bytes read so many at once.
fn read(bytes: &[u8], at_once: usize) -> (Vec<Received>, Option<Fault>, usize) {
    let (mut incoming, mut received) = (Incoming::default(), Vec::new());
    for part in bytes.chunks(at_once) {
        incoming.take(part);
        loop {
            match incoming.next(MAX) {
                Ok(Some(next)) => received.push(next),
                Ok(None) => break,
                Err(fault) => return (received, Some(fault), incoming.held()),
            }
        }
    }
    (received, None, incoming.held())
}

fn text(text: &str) -> Received {
    Received::Text(text.to_owned())
}

fn check(frames: &[Vec<u8>], expected: &[Received], fault: Option<Fault>) {
    let bytes = frames.concat();
    for at_once in [1, 2, 3, 7, bytes.len().max(1)] {
        let (received, ended, held) = read(&bytes, at_once);
        assert_eq!((received.as_slice(), ended), (expected, fault), "{at_once} bytes at once");
        assert!(fault.is_some() || held == 0, "nothing is held once all is told: {held} bytes");
    }
}

#[test]
fn messages_are_whole_however_they_come() {
    let long = "é".repeat(MAX / 2);
    check(
        &[
            frame(0x81, b""),
            frame(0x82, &[0, 255]),
            frame(0x81, long.as_bytes()),
            // A text in three fragments, cut within a character, with control frames between.
            frame(0x01, &"aé".as_bytes()[..2]),
            frame(0x89, b"still there?"),
            frame(0x00, &"aé".as_bytes()[2..]),
            frame(0x8A, b""),
            frame(0x80, b"!"),
        ],
        &[text(""), Received::Binary(vec![0, 255]), text(&long), Received::Ping(b"still there?".to_vec()), Received::Pong, text("aé!")],
        None,
    );
}

#[test]
fn what_breaks_the_protocol_is_refused() {
    let unmasked = vec![0x81, 1, b'a'];
    let too_long = [&[0x82, 0xFF][..], &(1_u64 << 63).to_be_bytes(), &MASK].concat();
    for wrong in [
        unmasked,
        too_long,
        frame(0xC1, b"a"),
        frame(0xA1, b"a"),
        frame(0x91, b"a"),
        frame(0x83, b"a"),
        frame(0x8B, b"a"),
        frame(0x09, b"a ping in fragments"),
        frame(0x89, &[0; 126]),
        frame(0x80, b"a continuation of nothing"),
    ] {
        check(&[frame(0x81, b"good"), wrong], &[text("good")], Some(Fault::Protocol));
    }
    check(&[frame(0x01, b"begun"), frame(0x81, b"another")], &[], Some(Fault::Protocol));
}

#[test]
fn a_text_that_is_not_utf8_is_refused_with_the_fragment_that_shows_it() {
    check(&[frame(0x81, b"\xFF")], &[], Some(Fault::NotUtf8));
    check(&[frame(0x81, b"\xC3")], &[], Some(Fault::NotUtf8));
    check(&[frame(0x01, b"a\xC3"), frame(0x00, b"b")], &[], Some(Fault::NotUtf8));
    check(&[frame(0x01, b"a\xC3"), frame(0x80, b"")], &[], Some(Fault::NotUtf8));
}

#[test]
fn a_message_over_its_limit_is_refused_by_its_header() {
    let header = |first: u8, length: u16| [&[first, 0xFE][..], &length.to_be_bytes(), &MASK].concat();
    check(&[frame(0x82, &[1; MAX])], &[Received::Binary(vec![1; MAX])], None);
    check(&[header(0x82, MAX as u16 + 1)], &[], Some(Fault::TooLarge));
    check(&[frame(0x02, &[1; MAX - 200]), header(0x80, 201)], &[], Some(Fault::TooLarge));
    let widest = [&[0x82, 0xFF][..], &(u64::MAX >> 1).to_be_bytes(), &MASK].concat();
    check(&[widest], &[], Some(Fault::TooLarge));
}

#[test]
fn a_close_is_answered_with_its_code_or_with_what_is_wrong_with_it() {
    for (payload, answer) in [
        (&b""[..], None),
        (b"\x03\xE8", Some(1000)),
        (b"\x03\xE8gone", Some(1000)),
        (b"\x0F\xA0", Some(4000)),
        (b"\x03", Some(1002)),
        (b"\x03\xE7", Some(1002)),
        (b"\x03\xED", Some(1002)),
        (b"\x13\x88", Some(1002)),
        (b"\x03\xE8\xFF", Some(1007)),
    ] {
        check(&[frame(0x88, payload)], &[Received::Close(answer)], None);
    }
}

#[test]
fn once_we_have_closed_everything_is_read_over_but_a_close() {
    let mut incoming = Incoming::default();
    incoming.take(&[frame(0x82, &[1; 900]), vec![0xF3, 1, 0], frame(0x01, b"begun")].concat());
    assert!(!incoming.skim());
    assert_eq!(incoming.held(), 0);
    incoming.take(&frame(0x88, b"")[..4]);
    assert!(!incoming.skim());
    incoming.take(&frame(0x88, b"")[4..]);
    assert!(incoming.skim());
}
