//! Header fields: conditions (RFC 9110 §13), media types, `Prefer` (RFC 7240).

use fourfold_op::{Error, ErrorCode, json};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName};

use crate::error::Refusal;

/// `If-Match`, as far as it speaks of revisions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// No such field.
    None,
    /// `*`: there must be a row.
    Any,
    /// One of these revisions; none of them matches when it is empty.
    Revisions(Vec<u64>),
}

/// Reads `If-Match`. A weak tag never matches (strong comparison), nor does a tag that is not ours.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<IfMatch, Error> {
    let Some(text) = joined(headers, &http::header::IF_MATCH)? else { return Ok(IfMatch::None) };
    if text.trim() == "*" {
        return Ok(IfMatch::Any);
    }
    let tags = tags(&text).ok_or_else(|| not_tags("If-Match", &text))?;
    let revisions = tags.into_iter().filter(|(weak, _)| !weak).filter_map(|(_, tag)| revision_of(tag));
    Ok(IfMatch::Revisions(revisions.collect()))
}

/// `"7"` and `"7-5f3a9c1b20"` speak of revision 7.
fn revision_of(tag: &str) -> Option<u64> {
    let revision = tag.split_once('-').map_or(tag, |(revision, _)| revision);
    let plain = !revision.is_empty() && revision.bytes().all(|byte| byte.is_ascii_digit());
    if plain { revision.parse().ok() } else { None }
}

/// Whether `If-None-Match` names this tag (weak comparison), so that the reader has the answer already.
pub(crate) fn reader_has(headers: &HeaderMap, tag: &str) -> Result<bool, Error> {
    let Some(text) = joined(headers, &http::header::IF_NONE_MATCH)? else { return Ok(false) };
    if text.trim() == "*" {
        return Ok(true);
    }
    let tags = tags(&text).ok_or_else(|| not_tags("If-None-Match", &text))?;
    Ok(tags.iter().any(|(_, given)| given.strip_suffix("-gzip").unwrap_or(given) == tag))
}

/// Whether `If-None-Match: *` asks a PUT only to create.
pub(crate) fn create_only(headers: &HeaderMap) -> Result<bool, Error> {
    match joined(headers, &http::header::IF_NONE_MATCH)? {
        None => Ok(false),
        Some(text) if text.trim() == "*" => Ok(true),
        Some(text) => Err(Error::invalid(format!("`If-None-Match: {text}` is not understood in a write; expected `*`"))),
    }
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Error> {
    let mut texts = Vec::new();
    for value in headers.get_all(name) {
        texts.push(value.to_str().map_err(|_| Error::invalid(format!("`{name}` holds characters that no entity tag of ours has")))?);
    }
    Ok(if texts.is_empty() { None } else { Some(texts.join(",")) })
}

/// Entity tags, each with whether it is weak, without its quotes.
fn tags(text: &str) -> Option<Vec<(bool, &str)>> {
    let mut tags = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |strong| (true, strong));
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        tags.push((weak, tag));
        rest = match after.trim_start() {
            "" => "",
            after => after.strip_prefix(',')?.trim_start(),
        };
    }
    Some(tags)
}

fn not_tags(name: &str, text: &str) -> Error {
    Error::invalid(format!("`{name}: {text}` is not a list of entity tags; expected quotes, such as `{name}: \"7\"`"))
}

/// The error for a condition that does not hold.
pub(crate) fn stale() -> Error {
    Error::new(ErrorCode::RevisionMismatch, "`If-Match` does not name the row's present revision; read the row again")
}

/// Whether `Prefer: return=minimal` is asked.
pub(crate) fn minimal(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split([',', ';']));
    preferences.map(str::trim).any(|preference| preference.eq_ignore_ascii_case("return=minimal"))
}

/// What a reader takes, of what is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    Json,
    /// `text/event-stream`
    Events,
}

/// The first that a reader takes: JSON, or events where there are any.
pub(crate) fn accepted(headers: &HeaderMap, events: bool) -> Result<Accepted, Refusal> {
    let mut ranges = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter(|range| !range.trim().is_empty())
        .peekable();
    if ranges.peek().is_none() {
        return Ok(Accepted::Json);
    }
    let mut later = None;
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused =
            parts.any(|part| matches!(part.to_ascii_lowercase().replace(' ', "").as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        match media.as_str() {
            "*/*" | "application/*" | "application/json" if !refused => return Ok(Accepted::Json),
            "text/event-stream" if events && !refused => return Ok(Accepted::Events),
            "text/event-stream" | "application/x-ndjson" => later = Some(media),
            _ => {}
        }
    }
    Err(Refusal::not_acceptable(match later {
        Some(media) if media == "text/event-stream" => {
            "`text/event-stream` is served for GET of a list alone; expected `application/json`".to_owned()
        }
        Some(media) => format!("`{media}` is not served yet; expected `application/json`"),
        None => "what is accepted is not served; expected `application/json`".to_owned(),
    }))
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    MergePatch,
    NdJson,
    Other,
}

/// The media type of a body; none is not JSON, lest a page of another origin could send one unasked.
pub(crate) fn media(headers: &HeaderMap) -> (Media, String) {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let media = match essence.as_str() {
        "application/json" => Media::Json,
        "application/merge-patch+json" => Media::MergePatch,
        "application/x-ndjson" => Media::NdJson,
        _ => Media::Other,
    };
    let shown = if essence.is_empty() { "no `Content-Type`".to_owned() } else { json::quoted(&essence) };
    (media, shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn if_match_reads_revisions_of_strong_tags() {
        for (text, expected) in [
            ("*", IfMatch::Any),
            ("\"7\"", IfMatch::Revisions(vec![7])),
            ("\"7-5f3a\", \"8\"", IfMatch::Revisions(vec![7, 8])),
            ("W/\"7\"", IfMatch::Revisions(vec![])),
            ("\"abc\"", IfMatch::Revisions(vec![])),
        ] {
            assert_eq!(if_match(&with("if-match", text)).unwrap(), expected, "{text}");
        }
        for text in ["7", "\"7", "\"7\" \"8\"", "w/\"7\""] {
            assert!(if_match(&with("if-match", text)).is_err(), "{text}");
        }
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), IfMatch::None);
    }

    #[test]
    fn if_none_match_compares_weakly() {
        for (text, has) in
            [("\"7-a\"", true), ("W/\"7-a\"", true), ("\"6-a\", \"7-a\"", true), ("*", true), ("\"7-b\"", false), ("\"7-a-gzip\"", true)]
        {
            assert_eq!(reader_has(&with("if-none-match", text), "7-a").unwrap(), has, "{text}");
        }
    }

    #[test]
    fn accept_is_honoured() {
        for (text, fine) in [
            ("*/*", true),
            ("text/html, application/json;q=0.5", true),
            ("application/*", true),
            ("text/html", false),
            ("application/json;q=0", false),
            ("text/event-stream", false),
        ] {
            assert_eq!(accepted(&with("accept", text), false).is_ok(), fine, "{text}");
        }
        for (text, expected) in [
            ("text/event-stream", Accepted::Events),
            ("text/event-stream, */*", Accepted::Events),
            ("application/json, text/event-stream", Accepted::Json),
            ("text/event-stream;q=0, */*", Accepted::Json),
        ] {
            assert_eq!(accepted(&with("accept", text), true).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn preferences_are_found_among_others() {
        assert!(minimal(&with("prefer", "respond-async, return=minimal")));
        assert!(!minimal(&with("prefer", "return=representation")));
    }
}
