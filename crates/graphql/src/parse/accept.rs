//! Which media type an answer has (GraphQL over HTTP, "Response"; RFC 9110, section 12.5.1).

use http::{HeaderMap, header};

use super::request::matches_utf8;

/// A form of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `application/json`: a document that is wrong is answered with 200.
    Json,
    /// `application/graphql-response+json`: a document that is wrong is answered with 400.
    Response,
    /// `text/event-stream`: graphql-sse, a connection for each operation.
    Events,
    /// `text/html`: the page to try queries on.
    Page,
}

impl Format {
    /// The value of `content-type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json; charset=utf-8",
            Format::Response => "application/graphql-response+json; charset=utf-8",
            Format::Events => "text/event-stream",
            Format::Page => "text/html; charset=utf-8",
        }
    }
}

/// The form that a caller wants most of those served; `None`: none of them. `page` tells whether the page is served.
pub(crate) fn negotiate(headers: &HeaderMap, page: bool) -> Option<Format> {
    let mut best: Option<(u16, Format)> = None;
    let mut given = false;
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|range| !range.is_empty()) {
            given = true;
            let Some((weight, format)) = range_of(range, page) else { continue };
            // Of equal weights the first one given wins.
            if weight > 0 && best.is_none_or(|(known, _)| weight > known) {
                best = Some((weight, format));
            }
        }
    }
    if given { best.map(|(_, format)| format) } else { Some(Format::Json) }
}

/// The weight of a range, in thousandths, and what it stands for.
fn range_of(range: &str, page: bool) -> Option<(u16, Format)> {
    let mut parts = range.split(';').map(str::trim);
    let format = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/graphql-response+json" => Format::Response,
        "application/json" | "application/*" | "*/*" => Format::Json,
        "text/event-stream" => Format::Events,
        "text/html" if page => Format::Page,
        _ => return None,
    };
    let mut weight = 1_000;
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => weight = weight_of(value.trim()),
            "charset" if !matches_utf8(value) => return None,
            _ => {}
        }
    }
    Some((weight, format))
}

fn weight_of(text: &str) -> u16 {
    let weight = text.parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0);
    (weight * 1_000.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str, page: bool) -> Option<Format> {
        let mut headers = HeaderMap::new();
        if let Ok(value) = accept.parse() {
            headers.insert(header::ACCEPT, value);
        }
        negotiate(&headers, page)
    }

    #[test]
    fn the_most_wanted_form_is_taken() {
        assert_eq!(negotiate(&HeaderMap::new(), true), Some(Format::Json));
        for (accept, expected) in [
            ("*/*", Some(Format::Json)),
            ("application/json", Some(Format::Json)),
            ("application/graphql-response+json", Some(Format::Response)),
            ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", Some(Format::Response)),
            ("application/json;q=0.5, application/graphql-response+json;q=0.9", Some(Format::Response)),
            ("application/json; charset=latin1", None),
            ("text/html", None),
            ("image/png", None),
            ("application/json;q=0", None),
        ] {
            assert_eq!(of(accept, false), expected, "{accept}");
        }
        assert_eq!(of("text/html,application/xhtml+xml,*/*;q=0.8", true), Some(Format::Page));
    }
}
