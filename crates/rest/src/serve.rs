//! One request: route, parse, execute, render.

use std::sync::Arc;

use fourfold_engine::{Engine, Executed};
use fourfold_model::{EntityId, Model, Value};
use fourfold_op::params::{Asking, Face, Pairs, query};
use fourfold_op::{Context, Error};
use http::header::{ALLOW, CONTENT_LENGTH, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;

use crate::body::{Body, empty};
use crate::error::Refusal;
use crate::parse::{Accepted, accepted};
use crate::render::{Steps, bare};
use crate::route::{Resource, Route, Routes};

/// The REST face of one engine.
pub struct Rest {
    pub(crate) engine: Arc<Engine>,
    pub(crate) routes: Routes,
}

/// One request on its way.
pub(crate) struct Exchange<'a> {
    pub(crate) rest: &'a Rest,
    pub(crate) context: &'a Context,
    pub(crate) head: &'a http::request::Parts,
    pub(crate) steps: Steps,
}

impl Rest {
    /// The face of an engine: prepares what is read most.
    pub fn new(engine: Arc<Engine>) -> Rest {
        let routes = Routes::new(&engine);
        Rest { engine, routes }
    }

    /// Answers one request. The server has authenticated the caller, and bounded the body.
    pub async fn serve(&self, context: Context, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let mut exchange = Exchange { rest: self, context: &context, head: &head, steps: Steps::begin() };
        let mut response = match exchange.answer(body).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(&context),
        };
        exchange.steps.finish(&mut response);
        if head.method == Method::HEAD { without_body(response) } else { response }
    }
}

/// The same answer for HEAD: its length, not its bytes.
fn without_body(mut response: Response<Body>) -> Response<Body> {
    if let Some(length) = response.body().size_hint().exact()
        && response.status() != StatusCode::NOT_MODIFIED
    {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = empty();
    response
}

impl<'a> Exchange<'a> {
    pub(crate) fn model(&self) -> &'a Model {
        self.rest.engine.model()
    }

    pub(crate) fn asking(&self) -> Asking<'a> {
        Asking::new(self.rest.engine.model(), self.rest.engine.limits(), Face::Rest)
    }

    pub(crate) fn pairs(&self) -> Result<Pairs<'a>, Error> {
        let head: &'a http::request::Parts = self.head;
        query(head.uri.query().unwrap_or_default())
    }

    /// Keeps what the engine's answer took.
    pub(crate) fn executed(&mut self, executed: &Executed) {
        self.steps.executed(executed.timing);
    }

    async fn answer(&mut self, body: Body) -> Result<Response<Body>, Refusal> {
        let head: &'a http::request::Parts = self.head;
        let route = self.rest.routes.find(self.model(), head.uri.path())?;
        let allow = route.allow();
        if head.method == Method::OPTIONS {
            return Ok(options(&route, allow));
        }
        if !allow.split(", ").any(|method| method == head.method.as_str()) {
            return Err(Refusal::method(&head.method, allow));
        }
        let watchable = matches!((&route, head.method.as_str()), (Route::Collection(_), "GET" | "HEAD"));
        let accepted = accepted(&head.headers, watchable)?;
        match (route, head.method.as_str()) {
            (Route::Collection(resource), "GET" | "HEAD") if accepted == Accepted::Events => self.watch(resource).await,
            (Route::Collection(resource), "GET" | "HEAD") => self.list(resource).await,
            (Route::Aggregate(resource), _) => self.aggregate(resource).await,
            (Route::Row(resource, key), "GET" | "HEAD") => self.get(resource, &key).await,
            (Route::Collection(resource), _) => self.post(resource, body).await,
            (Route::Row(resource, key), method) => self.write_row(resource, &key, method, body).await,
            (Route::Batch, _) => self.batch(body).await,
        }
    }

    /// A key from its text in the path.
    pub(crate) fn key(&self, resource: &Resource, text: &str) -> Result<Value, Error> {
        fourfold_op::params::parse_key(self.model(), resource.entity, text)
    }

    pub(crate) fn no_row(&self, entity: EntityId) -> Refusal {
        Error::not_found(&self.model().entity(entity).name).into()
    }
}

fn options(route: &Route<'_>, allow: &'static str) -> Response<Body> {
    let mut response = bare(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(allow));
    match route {
        Route::Collection(resource) if !resource.readonly => {
            headers.insert("accept-post", HeaderValue::from_static(crate::write::ACCEPT_POST));
        }
        Route::Row(resource, _) if !resource.readonly => {
            headers.insert("accept-patch", HeaderValue::from_static(crate::write::ACCEPT_PATCH));
        }
        Route::Batch => {
            headers.insert("accept-post", HeaderValue::from_static("application/json"));
        }
        _ => {}
    }
    response
}
