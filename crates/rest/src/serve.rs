//! One request: route, parse, execute, render.

use std::sync::Arc;

use fourfold_engine::Engine;
use fourfold_op::{Context, Error, RequestId};
use http::header::{ALLOW, CONTENT_LENGTH, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;

use crate::body::{Body, empty};
use crate::error::{Refusal, problem};
use crate::exchange::Exchange;
use crate::parse::{Accepted, accepted};
use crate::render::{Steps, bare};
use crate::route::{Route, Routes};

/// The REST face of one engine.
pub struct Rest {
    pub(crate) engine: Arc<Engine>,
    pub(crate) routes: Routes,
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
        let mut exchange = Exchange { engine: &self.engine, routes: &self.routes, context: &context, head: &head, steps: Steps::begin() };
        let mut response = match answer(&mut exchange, body).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(&context),
        };
        exchange.steps.finish(&mut response);
        if head.method == Method::HEAD { without_body(response) } else { response }
    }

    /// Refuses a request that [`serve`](Rest::serve) shall not see, in the form of its own problems.
    pub fn refuse(&self, error: &Error, request: &RequestId) -> Response<Body> {
        let mut response = problem(error, request);
        Steps::begin().finish(&mut response);
        response
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

async fn answer(exchange: &mut Exchange<'_>, body: Body) -> Result<Response<Body>, Refusal> {
    let head = exchange.head;
    let route = exchange.routes.find(exchange.model(), head.uri.path())?;
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
        (Route::Collection(resource), "GET" | "HEAD") if accepted == Accepted::Events => exchange.watch(resource).await,
        (Route::Collection(resource), "GET" | "HEAD") => exchange.list(resource).await,
        (Route::Aggregate(resource), _) => exchange.aggregate(resource).await,
        (Route::Row(resource, key), "GET" | "HEAD") => exchange.get(resource, &key).await,
        (Route::Collection(resource), _) => exchange.post(resource, body).await,
        (Route::Row(resource, key), method) => exchange.write_row(resource, &key, method, body).await,
        (Route::Batch, _) => exchange.batch(body).await,
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
