//! GraphQL over HTTP, and graphql-sse: one request, one answer.

use bytes::Bytes;
use fourfold_op::{Authenticated, Context};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};

use crate::answer::Answer;
use crate::error::errors;
use crate::events::{self, Events};
use crate::parse::accept::{Format, negotiate};
use crate::parse::request::{self, Refused};
use crate::{Body, GraphQl, Statements};

const PAGE: &str = include_str!("page.html");

impl GraphQl {
    /// Serves one request to `/graphql`.
    pub async fn serve(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let (parts, sent) = request.into_parts();
        if parts.method == Method::OPTIONS {
            return respond(StatusCode::NO_CONTENT, None, Bytes::new(), Some("GET, POST, OPTIONS"));
        }
        let page = self.options.dev && parts.method == Method::GET && !parts.uri.query().is_some_and(|query| query.contains("query="));
        let Some(format) = negotiate(&parts.headers, page) else {
            let message = "none of the media types of `accept` is served; ask for application/graphql-response+json or application/json";
            return refuse(&context, Format::Json, &Refused::new(StatusCode::NOT_ACCEPTABLE, message));
        };
        if format == Format::Page {
            return respond(StatusCode::OK, Some(format), Bytes::from_static(PAGE.as_bytes()), None);
        }
        let expires_at_us = parts.extensions.get().and_then(Authenticated::expires_at_us);
        let mut asked = match request::read(&parts, sent).await {
            Ok(asked) => asked,
            Err(refused) => return refuse(&context, format, &refused),
        };
        asked.may_stream = format == Format::Events;
        match self.answer(&context, asked, expires_at_us).await {
            Ok(Answer::Changes(changes)) => {
                let mut response = respond(StatusCode::OK, Some(format), Bytes::new(), None);
                response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
                *response.body_mut() = Events::new(*changes).into_body();
                response
            }
            Ok(Answer::Whole(reply)) => {
                let mut response = respond(StatusCode::OK, Some(format), body(format, reply.body), None);
                response.extensions_mut().insert(Statements(reply.statements));
                response
            }
            Ok(Answer::Refused(faults)) => {
                let status = if format == Format::Response { StatusCode::BAD_REQUEST } else { StatusCode::OK };
                respond(status, Some(format), body(format, errors(&faults, &context)), None)
            }
            Err(refused) => refuse(&context, format, &refused),
        }
    }
}

/// The bytes of an answer in the form that was asked for.
fn body(format: Format, json: Vec<u8>) -> Bytes {
    if format == Format::Events { events::last(&json) } else { json.into() }
}

fn refuse(context: &Context, format: Format, refusal: &Refused) -> Response<Body> {
    let json = errors(&[refusal.error.clone().into()], context);
    respond(refusal.status, Some(format), body(format, json), refusal.allow)
}

fn respond(status: StatusCode, format: Option<Format>, body: Bytes, allow: Option<&'static str>) -> Response<Body> {
    let mut response = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(format) = format {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    }
    if let Some(allow) = allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}
