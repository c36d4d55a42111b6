//! `grpc.health.v1`: Check, List and Watch.

use std::sync::Arc;

use bytes::Bytes;
use fourfold_op::json;
use fourfold_op::wire::bytes::{Malformed, Reader, WireType, put_bytes, put_nested, put_number};
use fourfold_op::{Error, ErrorCode};
use futures_util::StreamExt;
use tokio::sync::watch;

use crate::error::Status;
use crate::message::Part;
use crate::render::Object;
use crate::transport::{Format, Messages};

/// The status of a service, by its number in `HealthCheckResponse.ServingStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serving {
    Yes = 1,
    No = 2,
    Unknown = 3,
}

/// Whether the services are there.
pub struct Health {
    services: Arc<[String]>,
    serving: watch::Sender<bool>,
}

impl Health {
    /// For these services; all serve.
    pub fn new(services: Vec<String>) -> Health {
        Health { services: services.into(), serving: watch::Sender::new(true) }
    }

    /// Says whether the server serves; watchers are told.
    pub fn set_serving(&self, serving: bool) {
        self.serving.send_replace(serving);
    }

    fn status(&self, service: &str) -> Serving {
        match *self.serving.borrow() {
            _ if !self.knows(service) => Serving::Unknown,
            true => Serving::Yes,
            false => Serving::No,
        }
    }

    /// The empty name is the server as a whole.
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.iter().any(|known| known == service)
    }

    /// Answers Check.
    ///
    /// # Errors
    /// `not_found` for a service that is not there.
    pub fn check(&self, part: Part<'_>) -> Result<Vec<u8>, Error> {
        let service = service_of(part)?;
        match self.status(&service) {
            Serving::Unknown => Err(Error::new(ErrorCode::NotFound, format!("no service {}", json::quoted(&service)))),
            status => Ok(message(status, format_of(part))),
        }
    }

    /// Answers List.
    pub fn list(&self, format: Format) -> Vec<u8> {
        let mut out = Vec::new();
        let all = std::iter::once("").chain(self.services.iter().map(String::as_str));
        match format {
            Format::Proto => all.for_each(|service| {
                put_nested(&mut out, 1, |out| {
                    put_bytes(out, 1, service.as_bytes());
                    put_bytes(out, 2, &message(self.status(service), Format::Proto));
                });
            }),
            Format::Json => {
                let mut object = Object::new(&mut out);
                let mut statuses = Object::new(object.member("statuses"));
                all.for_each(|service| statuses.member(service).extend(message(self.status(service), Format::Json)));
                statuses.end();
                object.end();
            }
        }
        out
    }

    /// Answers Watch: the status now, and each time it changes.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for a message that cannot be read.
    pub async fn watch(&self, format: Format, mut messages: Messages) -> Result<Messages, Status> {
        let request = messages.next().await.unwrap_or_else(|| Ok(Bytes::new()))?;
        let part = match format {
            Format::Proto => Part::Proto(&request),
            Format::Json => Part::Json(std::str::from_utf8(&request).map_err(|_| unreadable())?),
        };
        let service = service_of(part).map_err(|_| unreadable())?;
        let known = self.knows(&service);
        let state = (self.serving.subscribe(), None::<Serving>);
        let answers = futures_util::stream::unfold(state, move |(mut serving, mut last)| async move {
            loop {
                let status = match (known, *serving.borrow_and_update()) {
                    (false, _) => Serving::Unknown,
                    (true, true) => Serving::Yes,
                    (true, false) => Serving::No,
                };
                if last.replace(status) != Some(status) {
                    return Some((Ok(Bytes::from(message(status, format))), (serving, last)));
                }
                serving.changed().await.ok()?;
            }
        });
        Ok(Box::pin(answers))
    }
}

fn unreadable() -> Status {
    Status { code: 3, message: "the message is no HealthCheckRequest".into(), details: Vec::new() }
}

fn format_of(part: Part<'_>) -> Format {
    match part {
        Part::Proto(_) => Format::Proto,
        Part::Json(_) => Format::Json,
    }
}

fn service_of(part: Part<'_>) -> Result<String, Error> {
    match part {
        Part::Proto(message) => proto_service(message).map_err(|_| Error::invalid("the bytes are no HealthCheckRequest")),
        Part::Json(text) => {
            let members = json::members(text).map_err(Error::invalid)?.0;
            let service = members.iter().find(|(name, _)| name == "service");
            Ok(service.and_then(|(_, value)| serde_json::from_str(value.get()).ok()).unwrap_or_default())
        }
    }
}

fn proto_service(message: &[u8]) -> Result<String, Malformed> {
    let mut service = String::new();
    let mut reader = Reader::new(message);
    while let Some((number, wire_type)) = reader.tag()? {
        match (number, wire_type) {
            (1, WireType::Bytes) => service = std::str::from_utf8(reader.bytes()?).map_err(|_| Malformed)?.to_owned(),
            _ => reader.skip(number, wire_type)?,
        }
    }
    Ok(service)
}

fn message(status: Serving, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    match format {
        Format::Proto => put_number(&mut out, 1, status as u64),
        Format::Json => {
            let name = match status {
                Serving::Yes => "SERVING",
                Serving::No => "NOT_SERVING",
                Serving::Unknown => "SERVICE_UNKNOWN",
            };
            let mut object = Object::new(&mut out);
            object.text("status", name);
            object.end();
        }
    }
    out
}
