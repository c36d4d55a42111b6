//! Gets, lists and aggregates.

use fourfold_op::params::{Asked, Shape};
use fourfold_op::{Answered, Cursor, Error, Operation, Outcome, Page, Record};
use http::header::{HeaderValue, LINK};
use http::{Response, StatusCode};

use crate::body::Body;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::parse::reader_has;
use crate::render::{Caching, bare, json, percent_encode, put_tag, tag};
use crate::route::Resource;

impl Exchange<'_> {
    /// `GET /v1/products/{key}`.
    pub(crate) async fn get(&mut self, resource: &Resource, key: &str) -> Result<Response<Body>, Refusal> {
        let key = self.key(resource, key)?;
        let (engine, context) = (&self.engine, self.context);
        let pairs = self.pairs()?;
        let prepared = resource.get.as_ref().filter(|_| pairs.is_empty());
        let (executed, shape, asked) = match prepared {
            Some(prepared) => (engine.execute_prepared(context, prepared, &[key]).await?, resource.shape.clone(), None),
            None => {
                let asked = self.asking().get(resource.entity, key, &pairs)?;
                (engine.execute(context, &asked.operation, &asked.values).await?, rows(&asked)?, Some(asked))
            }
        };
        self.executed(&executed);
        let record = row(executed.outcome)?.ok_or_else(|| self.no_row(resource.entity))?;
        let mut text = Vec::with_capacity(512);
        shape.write(&mut text, self.model(), &record);
        let tag = tag(record.row.revision(), &text);
        let known = reader_has(&self.head.headers, &tag)?;
        let mut response = if known { bare(StatusCode::NOT_MODIFIED) } else { json(StatusCode::OK, text) };
        put_tag(&mut response, &tag);
        self.put_caching(&mut response, resource, asked.as_ref().map(|asked| &asked.operation));
        Ok(response)
    }

    /// `GET /v1/products?…`.
    pub(crate) async fn list(&mut self, resource: &Resource) -> Result<Response<Body>, Refusal> {
        let pairs = self.pairs()?;
        let (engine, context) = (&self.engine, self.context);
        let prepared = resource.list.as_ref().filter(|_| pairs.is_empty());
        let (executed, shape, asked) = match prepared {
            Some(prepared) => (engine.execute_prepared(context, prepared, &[]).await?, resource.shape.clone(), None),
            None => {
                let asked = self.asking().list(resource.entity, &pairs)?;
                (engine.execute(context, &asked.operation, &asked.values).await?, rows(&asked)?, Some(asked))
            }
        };
        self.executed(&executed);
        let (page, cursor) = page(executed.outcome)?;
        let mut text = Vec::with_capacity(256 + page.items.len() * 256);
        shape.write_page(&mut text, self.model(), &page, &cursor);
        let mut response = json(StatusCode::OK, text);
        self.put_next(&mut response, &page);
        self.put_caching(&mut response, resource, asked.as_ref().map(|asked| &asked.operation));
        Ok(response)
    }

    /// `Link: <…>; rel="next"` (RFC 8288): the same request with the next page's token.
    fn put_next(&self, response: &mut Response<Body>, page: &Page) {
        let Some(token) = &page.next else { return };
        let uri = &self.head.uri;
        let kept = uri.query().unwrap_or_default().split('&').filter(|part| !part.is_empty() && !part.starts_with("page_token="));
        let token = format!("page_token={}", percent_encode(token));
        let query = kept.chain([token.as_str()]).collect::<Vec<_>>().join("&");
        if let Ok(link) = HeaderValue::try_from(format!("<{}?{query}>; rel=\"next\"", uri.path())) {
            response.headers_mut().insert(LINK, link);
        }
    }

    /// `GET /v1/products:aggregate?…`.
    pub(crate) async fn aggregate(&mut self, resource: &Resource) -> Result<Response<Body>, Refusal> {
        let asked = self.asking().aggregate(resource.entity, &self.pairs()?)?;
        let executed = self.engine.execute(self.context, &asked.operation, &asked.values).await?;
        self.executed(&executed);
        let (Outcome::Read(mut answers, _), Shape::Groups(shape)) = (executed.outcome, &asked.shape) else { return Err(unexpected()) };
        let Some(Answered::Groups(groups)) = answers.pop() else { return Err(unexpected()) };
        let mut text = Vec::with_capacity(64 + groups.len() * 64);
        shape.write(&mut text, self.model(), &groups);
        let mut response = json(StatusCode::OK, text);
        resource.caching.put(&mut response);
        Ok(response)
    }

    /// Most answers show one entity alone, whose fields are made once.
    fn put_caching(&self, response: &mut Response<Body>, resource: &Resource, asked: Option<&Operation>) {
        match asked {
            Some(Operation::Read(selects)) if selects.iter().any(|select| !select.nested.is_empty()) => {
                Caching::of(self.model(), asked, resource.entity).put(response);
            }
            _ => resource.caching.put(response),
        }
    }
}

pub(crate) fn rows(asked: &Asked) -> Result<std::sync::Arc<fourfold_op::render::RowShape>, Refusal> {
    match &asked.shape {
        Shape::Rows(shape) => Ok(shape.clone()),
        _ => Err(unexpected()),
    }
}

/// The one row of an answer.
pub(crate) fn row(outcome: Outcome) -> Result<Option<Record>, Refusal> {
    match outcome {
        Outcome::Read(mut answers, _) => match answers.pop() {
            Some(Answered::Row(record)) => Ok(record),
            _ => Err(unexpected()),
        },
        Outcome::Written(..) => Err(unexpected()),
    }
}

fn page(outcome: Outcome) -> Result<(Page, Cursor), Refusal> {
    match outcome {
        Outcome::Read(mut answers, Some(cursor)) => match answers.pop() {
            Some(Answered::Page(page)) => Ok((page, cursor)),
            _ => Err(unexpected()),
        },
        Outcome::Read(..) | Outcome::Written(..) => Err(unexpected()),
    }
}

pub(crate) fn unexpected() -> Refusal {
    Error::internal("the engine answered another kind of operation").into()
}
