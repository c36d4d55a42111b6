//! Creates, changes, replacements, deletes and batches.

use fourfold_model::Value;
use fourfold_op::params::{Body as Members, Shape, WriteAsked};
use fourfold_op::{Error, ErrorCode, Outcome, WriteKind, Written, json as op_json, render as op_render};
use http::header::{HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};

use crate::body::{Body, whole};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::parse::{IfMatch, Media, create_only, if_match, media, minimal, stale};
use crate::read::{row, unexpected};
use crate::render::{bare, json, percent_encode, put_tag, tag};
use crate::route::Resource;

/// What POST on a list takes.
pub(crate) const ACCEPT_POST: &str = "application/json, application/x-ndjson";
/// What PATCH takes.
pub(crate) const ACCEPT_PATCH: &str = "application/merge-patch+json, application/json";

impl Exchange<'_> {
    /// `POST /v1/products`: one row, or many by NDJSON.
    pub(crate) async fn post(&mut self, resource: &Resource, body: Body) -> Result<Response<Body>, Refusal> {
        match media(&self.head.headers) {
            (Media::Json, _) => self.create(resource, body).await,
            (Media::NdJson, _) => self.ingest(resource, body).await,
            (_, found) => Err(wrong_media(&found, "accept-post", ACCEPT_POST)),
        }
    }

    async fn create(&mut self, resource: &Resource, body: Body) -> Result<Response<Body>, Refusal> {
        self.write(resource, WriteKind::Create, None, None, Some(body)).await
    }

    /// PATCH, PUT and DELETE of `/v1/products/{key}`.
    pub(crate) async fn write_row(&mut self, resource: &Resource, key: &str, method: &str, body: Body) -> Result<Response<Body>, Refusal> {
        let key = self.key(resource, key)?;
        let found = media(&self.head.headers);
        let condition = if_match(&self.head.headers)?;
        let (kind, body) = match (method, found) {
            ("PATCH", (Media::Json | Media::MergePatch, _)) => (WriteKind::Update, Some(body)),
            ("PATCH", (_, found)) => return Err(wrong_media(&found, "accept-patch", ACCEPT_PATCH)),
            ("PUT", (Media::Json, _)) => {
                let create_only = create_only(&self.head.headers)?;
                (WriteKind::Upsert { create_only, update_only: condition != IfMatch::None }, Some(body))
            }
            ("PUT", (_, found)) => return Err(wrong_media(&found, "accept", "application/json")),
            _ => (WriteKind::Delete, None),
        };
        let if_revision = self.revision(resource, &key, &condition).await?;
        let result = self.write(resource, kind, Some(&key), if_revision, body).await;
        result.map_err(|refusal| of_condition(refusal, kind))
    }

    /// The one revision that a condition leaves: where it names several, the row's own if it is among them.
    async fn revision(&self, resource: &Resource, key: &Value, condition: &IfMatch) -> Result<Option<u64>, Refusal> {
        match condition {
            IfMatch::None | IfMatch::Any => Ok(None),
            IfMatch::Revisions(revisions) => match revisions.as_slice() {
                [] => Err(stale().into()),
                [one] => Ok(Some(*one)),
                several => {
                    let Some(prepared) = &resource.get else { return Err(stale().into()) };
                    let executed = self.engine.execute_prepared(self.context, prepared, std::slice::from_ref(key)).await?;
                    let present = row(executed.outcome)?.map(|record| record.row.revision());
                    present.filter(|present| several.contains(present)).map(Some).ok_or_else(|| stale().into())
                }
            },
        }
    }

    async fn write(
        &mut self,
        resource: &Resource,
        kind: WriteKind,
        key: Option<&Value>,
        if_revision: Option<u64>,
        body: Option<Body>,
    ) -> Result<Response<Body>, Refusal> {
        let bytes = match body {
            Some(body) => Some(whole(body).await?),
            None => None,
        };
        let text = bytes.as_deref().map(utf8).transpose()?;
        let minimal = minimal(&self.head.headers);
        let members = text.map_or(Members::None, |text| Members::Object(text, ""));
        let asked = WriteAsked { kind, key, body: members, if_revision, minimal };
        let asked = self.asking().write(resource.entity, asked, &self.pairs()?)?;
        let executed = self.engine.execute(self.context, &asked.operation, &asked.values).await?;
        self.executed(&executed);
        let (Outcome::Written(mut written, _), Shape::Rows(shape)) = (executed.outcome, &asked.shape) else { return Err(unexpected()) };
        let written = written.pop().ok_or_else(unexpected)?;
        Ok(self.written(kind, &written, shape, minimal))
    }

    fn written(&self, kind: WriteKind, written: &Written, shape: &op_render::RowShape, minimal: bool) -> Response<Body> {
        if kind == WriteKind::Delete {
            return bare(StatusCode::NO_CONTENT);
        }
        // A retry of a create answers as the create did.
        let created = written.created || kind == WriteKind::Create;
        let status = if created { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = if minimal {
            let mut response = bare(if created { status } else { StatusCode::NO_CONTENT });
            response.headers_mut().insert(HeaderName::from_static("preference-applied"), HeaderValue::from_static("return=minimal"));
            put_tag(&mut response, &written.revision.to_string());
            response
        } else {
            let mut text = Vec::with_capacity(512);
            shape.write_written(&mut text, self.model(), written);
            let tag = tag(written.revision, &text);
            let mut response = json(status, text);
            put_tag(&mut response, &tag);
            response
        };
        if created && let Ok(location) = HeaderValue::try_from(self.location(written)) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }

    fn location(&self, written: &Written) -> String {
        let entity = self.model().entity(written.entity);
        let mut key = String::new();
        op_json::write_value_text(&mut key, self.model(), entity.key_type(), &written.key);
        format!("{}/{}", self.routes.path(entity), percent_encode(&key))
    }

    /// `POST /v1/batch`: all in one commit, or none.
    pub(crate) async fn batch(&mut self, body: Body) -> Result<Response<Body>, Refusal> {
        if let (Media::NdJson | Media::MergePatch | Media::Other, found) = media(&self.head.headers) {
            return Err(wrong_media(&found, "accept-post", "application/json"));
        }
        if let Some((name, _)) = self.pairs()?.first() {
            return Err(
                Error::invalid_at(format!("/{name}"), format!("unknown parameter {}; a batch has none", op_json::quoted(name))).into()
            );
        }
        let bytes = whole(body).await?;
        let asked = self.asking().batch(&bytes, minimal(&self.head.headers))?;
        let executed = self.engine.execute(self.context, &asked.operation, &asked.values).await;
        let executed = executed.map_err(|error| asked.of_batch(error))?;
        self.executed(&executed);
        let (Outcome::Written(written, _), Shape::Batch(shapes)) = (executed.outcome, &asked.shape) else { return Err(unexpected()) };
        let mut text = Vec::with_capacity(64 + written.len() * 256);
        op_render::write_results(&mut text, self.model(), shapes, &written);
        Ok(json(StatusCode::OK, text))
    }
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|error| Error::invalid(format!("the body is not UTF-8: byte {} is wrong", error.valid_up_to())))
}

/// A condition on the row's existence that failed is 412 (RFC 9110 §13), not what the same write without it would be.
fn of_condition(refusal: Refusal, kind: WriteKind) -> Refusal {
    let Refusal::Error(error) = refusal else { return refusal };
    let key_alone = error.public.errors.iter().all(|one| one.pointer == "/id" || one.pointer.is_empty());
    match (kind, error.code) {
        (WriteKind::Upsert { update_only: true, .. }, ErrorCode::NotFound) => stale().into(),
        (WriteKind::Upsert { create_only: true, .. }, ErrorCode::AlreadyExists) if key_alone => {
            Error::new(ErrorCode::RevisionMismatch, "the row exists already, and `If-None-Match: *` asks only to create it").into()
        }
        _ => error.into(),
    }
}

fn wrong_media(found: &str, header: &'static str, accepted: &'static str) -> Refusal {
    Refusal::media(format!("{found} is not understood here; expected one of {accepted}"), HeaderName::from_static(header), accepted)
}
