//! Rust source without what is not code: comments, the insides of strings, and what only tests see.

/// The source with comments and the contents of strings blanked, and items under `#[cfg(test)]` too. Lines keep their
/// numbers, so that a place found in it is a place in the file.
pub fn only(source: &str) -> String {
    without_tests(blank(source))
}

fn blank(source: &str) -> Vec<u8> {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match &bytes[at..] {
            [b'/', b'/', ..] => until(bytes, at, |rest| rest[0] == b'\n'),
            [b'/', b'*', ..] => comment(bytes, at),
            [b'"', ..] => string(bytes, at + 1),
            [b'r', b'"' | b'#', ..] if !follows_a_word(bytes, at) => raw(bytes, at),
            [b'\'', b'\\', ..] => until(bytes, at + 3, |rest| rest[0] == b'\'') + 1,
            [b'\'', _, b'\'', ..] => at + 3,
            _ => {
                at += 1;
                continue;
            }
        };
        let end = end.min(bytes.len());
        out[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = end;
    }
    out
}

fn follows_a_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

fn until(bytes: &[u8], from: usize, stop: impl Fn(&[u8]) -> bool) -> usize {
    (from..bytes.len()).find(|at| stop(&bytes[*at..])).unwrap_or(bytes.len())
}

fn comment(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut at) = (0, at);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

/// The end of a string whose quote is before `at`.
fn string(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(at + 1 + hashes) != Some(&b'"') {
        return at + 1; // a raw identifier
    }
    let end = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    until(bytes, at + 2 + hashes, |rest| rest.starts_with(&end)) + end.len()
}

fn without_tests(mut code: Vec<u8>) -> String {
    const MARK: &[u8] = b"#[cfg(test)]";
    let mut at = 0;
    while let Some(start) = code[at..].windows(MARK.len()).position(|window| window == MARK).map(|found| at + found) {
        let end = item_end(&code, start + MARK.len());
        code[start..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = end;
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// The end of the item after `at`: its semicolon, or the brace that closes its first one.
fn item_end(code: &[u8], at: usize) -> usize {
    let mut depth = 0;
    for (place, byte) in code.iter().enumerate().skip(at) {
        match byte {
            b';' if depth == 0 => return place + 1,
            b'{' => depth += 1,
            b'}' if depth <= 1 => return place + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::only;

    #[test]
    fn only_code_is_left_and_lines_keep_their_numbers() {
        let source = "use a; // std::fs\n/* tokio\n */ let q = '\"'; let s = \"println!\\\" {\"; let r = r#\"std::net \"x\"#; f::<'a>(b);\n\
                      #[cfg(test)]\nmod tests;\nfn kept() {}\n#[cfg(test)]\nmod tests {\n fn gone() { std::fs::x() }\n}\nfn also_kept() {}\n";
        let code = only(source);
        assert_eq!(code.lines().count(), source.lines().count());
        for gone in ["std", "tokio", "println", "tests", "gone"] {
            assert!(!code.contains(gone), "{gone} in {code}");
        }
        for kept in ["use a;", "let q", "let r", "f::<'a>(b)", "fn kept()", "fn also_kept()"] {
            assert!(code.contains(kept), "{kept} in {code}");
        }
    }
}
