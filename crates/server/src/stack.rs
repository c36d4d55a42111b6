//! The path of a request: routed by its path, its caller authenticated, answered by a face, noted.
//!
//! The faces, the identity and the contracts belong to one model; a reload puts new ones in their place, whole.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use fourfold_engine::Closing;
use fourfold_graphql::{Opening, SUBPROTOCOL};
use fourfold_op::error::CODES;
use fourfold_op::{Authenticate, Authenticated, Context, Deadline, Error, ErrorCode, IdempotencyKey, Principal, RequestId};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use crate::admin::{Metrics, RequestLabels};
use crate::body::{Body, BodyLimits, limited};
use crate::listen::{Handler, Peer};
use crate::log::{Log, RequestLine};
use crate::wire::HeadLimits;

pub mod faces;
mod gzip;
mod ids;
mod origin;
mod public;
mod refuse;
mod route;
mod upgrade;

pub use faces::{Faces, Shown};
use ids::{Ids, X_REQUEST_ID};
pub use origin::Origins;
use route::{Api, Route};

/// What a stack is set to.
#[derive(Clone, Debug)]
pub struct StackSettings {
    /// Limits of a request's body.
    pub body: BodyLimits,
    /// Limits of a request's head, for HTTP/2 (HTTP/1.1 is held to them on the wire).
    pub head: HeadLimits,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Which web pages may call.
    pub origins: Origins,
    /// Whether a proxy in front names requests.
    pub behind_proxy: bool,
    /// Whether this is `fourfold dev`.
    pub dev: bool,
}

/// Everything between the listener and the faces.
pub struct Stack {
    settings: StackSettings,
    faces: ArcSwap<Faces>,
    ready: AtomicBool,
    ids: Ids,
    log: Log,
    metrics: Arc<Metrics>,
}

impl Stack {
    /// A stack over one model's faces.
    pub fn new(settings: StackSettings, faces: Arc<Faces>, log: Log, metrics: Arc<Metrics>) -> Arc<Stack> {
        Arc::new(Stack { settings, faces: ArcSwap::new(faces), ready: AtomicBool::new(true), ids: Ids::new(), log, metrics })
    }

    /// Puts another model's faces in place; requests that have begun end with those they began with, watches are reset.
    pub fn replace(&self, faces: Arc<Faces>) {
        self.faces.swap(faces).engine().close_watches(Closing::Replaced);
    }

    /// The faces of the model that is served now.
    pub fn faces(&self) -> Arc<Faces> {
        self.faces.load_full()
    }

    /// Says whether `/ready` and gRPC's health answer that it serves.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::SeqCst);
        self.faces.load().grpc.set_serving(ready);
    }

    /// Whether it serves.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    /// Answers one request: the whole way.
    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        let begun = Instant::now();
        let id = self.ids.of(request.headers(), self.settings.behind_proxy);
        let faces = self.faces.load_full();
        let route = route::route(request.method(), request.uri().path(), request.headers(), faces.engine.model());
        let caller = Caller::of(&request, self);
        let asked = Asked { stack: self, faces: &faces, route: &route, id: &id, begun };
        let (mut answer, who) = match AssertUnwindSafe(asked.face(request)).catch_unwind().await {
            Ok(answered) => answered,
            Err(panic) => (refuse::refuse(&faces, &route, &caught(&id, &*panic), &id), None),
        };
        self.dress(&mut answer, &id, &caller);
        self.note(&route, &id, &answer, who.as_deref(), begun, peer);
        if caller.gzip { gzip::gzip(answer).await } else { answer }
    }

    /// The headers that every answer has.
    fn dress(&self, answer: &mut Response<Body>, id: &RequestId, caller: &Caller) {
        let headers = answer.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&id.0) {
            headers.insert(X_REQUEST_ID, id);
        }
        if let Some(origin) = &caller.origin {
            self.settings.origins.dress(headers, origin);
        }
    }

    fn note(&self, route: &Route<'_>, id: &RequestId, answer: &Response<Body>, who: Option<&Principal>, begun: Instant, _peer: Peer) {
        let took = begun.elapsed();
        let code = code_of(answer);
        self.metrics.request(RequestLabels { api: route.api.name(), operation: route.operation, code }, took.as_secs_f64());
        if self.log.is_on() {
            let principal = who.map_or_else(|| "-".to_owned(), |who| self.log.hash(who));
            self.log.request(&RequestLine {
                request: &id.0,
                api: route.api.name(),
                operation: route.operation,
                entity: route.entity,
                status: answer.status().as_u16(),
                code,
                micros: took.as_micros() as u64,
                bytes: http_body::Body::size_hint(answer.body()).exact(),
                principal: &principal,
            });
        }
    }
}

/// The `Idempotency-Key` header; the engine says which keys are good.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Error> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map_err(|_| Error::invalid("an idempotency key is 1 to 255 visible ASCII characters"))?;
    Ok(Some(IdempotencyKey(text.into())))
}

impl Handler for Stack {
    async fn handle(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        self.answer(request, peer).await
    }
}

/// One request on its way to a face.
struct Asked<'a> {
    stack: &'a Stack,
    faces: &'a Arc<Faces>,
    route: &'a Route<'a>,
    id: &'a RequestId,
    begun: Instant,
}

impl Asked<'_> {
    async fn face(&self, request: Request<Incoming>) -> (Response<Body>, Option<Arc<Principal>>) {
        match self.admitted(&request) {
            Ok(None) => {}
            Ok(Some(answer)) => return (answer, None),
            Err(error) => return (self.refuse(&error), None),
        }
        let caller = match self.authenticated(request.headers()) {
            Ok(caller) => caller,
            Err(error) => return (self.refuse(&error), None),
        };
        let who = Arc::clone(&caller.principal);
        let body = match self.body_limits(request.headers()) {
            Ok(body) => body,
            Err(error) => return (self.refuse(&error), Some(who)),
        };
        let idempotency = match idempotency_key(request.headers()) {
            Ok(key) => key,
            Err(error) => return (self.refuse(&error), Some(who)),
        };
        let context = Context {
            principal: Arc::clone(&who),
            deadline: Deadline(Some(self.begun + self.stack.settings.request_timeout)),
            idempotency,
            request: self.id.clone(),
        };
        let mut request = request.map(|incoming| limited(incoming, body));
        gzip::untag(request.headers_mut());
        // A watch ends with the credential that it was asked with.
        request.extensions_mut().insert(caller);
        let answer = match self.route.api {
            Api::Rest => self.faces.rest.serve(context, request).await,
            Api::GraphQl if self.route.socket => self.graphql_socket(context, request),
            Api::GraphQl => self.faces.graphql.serve(context, request).await,
            Api::Grpc => self.faces.grpc.serve(context, request).await,
            Api::WebSocket => self.faces.websocket.serve(context, request).await,
            Api::Public => public::answer(self.faces, &context, request.method(), request.uri().path(), self.stack.is_ready()),
        };
        (answer, Some(who))
    }

    /// Answers a request for a WebSocket at `/graphql`; the connection itself then runs on a task of its own.
    fn graphql_socket(&self, context: Context, mut request: Request<Body>) -> Response<Body> {
        let bearer = match bearer(request.headers()) {
            Ok(token) => token.map(str::to_owned),
            Err(error) => return self.refuse(&error),
        };
        let upgraded = match upgrade::upgrade(&mut request, SUBPROTOCOL, self.id) {
            Ok(upgraded) => upgraded,
            Err(refusal) => return *refusal,
        };
        let opening = Opening { context, bearer, acceptable: upgraded.acceptable };
        let faces = Arc::clone(self.faces);
        tokio::spawn(async move {
            if let Ok(stream) = upgraded.stream.await {
                faces.graphql.socket(TokioIo::new(stream), opening, &*faces.auth).await;
            }
        });
        upgraded.answer
    }

    /// A refusal in the form of the API that was asked.
    fn refuse(&self, error: &Error) -> Response<Body> {
        refuse::refuse(self.faces, self.route, error, self.id)
    }

    /// What is answered or refused whoever asks.
    fn admitted(&self, request: &Request<Incoming>) -> Result<Option<Response<Body>>, Error> {
        let settings = &self.stack.settings;
        if request.version() == Version::HTTP_2 {
            check_head(request, &settings.head)?;
        }
        if request.method() == Method::CONNECT {
            return Err(Error::new(ErrorCode::Unimplemented, "`CONNECT` is not served"));
        }
        settings.origins.check(request, self.route.api, settings.dev)?;
        Ok(settings.origins.preflight(request))
    }

    fn authenticated(&self, headers: &HeaderMap) -> Result<Authenticated, Error> {
        // These say who asks inside their protocol, or do not ask at all.
        if self.route.api == Api::WebSocket || self.route.open {
            return Ok(Authenticated { principal: self.faces.nobody(), expires_at: None });
        }
        self.faces.auth.authenticate(bearer(headers)?)
    }

    fn body_limits(&self, headers: &HeaderMap) -> Result<BodyLimits, Error> {
        let limits = self.stack.settings.body;
        let streams = self.route.api == Api::Grpc || is_ndjson(headers);
        if streams {
            return Ok(BodyLimits { bytes_max: None, grace: limits.grace.filter(|_| !self.route.may_idle), ..limits });
        }
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
        match (limits.bytes_max, length) {
            (Some(max), Some(length)) if length > max => Err(BodyLimits::too_large(max)),
            _ => Ok(limits),
        }
    }
}

/// What of a request is still needed when it was answered.
struct Caller {
    origin: Option<HeaderValue>,
    gzip: bool,
}

impl Caller {
    fn of(request: &Request<Incoming>, stack: &Stack) -> Caller {
        let headers = request.headers();
        let origin = headers.get(header::ORIGIN).filter(|origin| stack.settings.origins.allows(origin)).cloned();
        let gzip = headers.get(header::ACCEPT_ENCODING).is_some_and(gzip::is_wanted);
        Caller { origin, gzip }
    }
}

fn is_ndjson(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-ndjson"))
}

/// The token of `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let refused = |message| Error::new(ErrorCode::Unauthenticated, message);
    if values.next().is_some() {
        return Err(refused("there is more than one `Authorization`"));
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") { Ok(Some(token.trim())) } else { Err(refused("`Authorization` is not `Bearer TOKEN`")) }
}

/// HTTP/2 heads are not seen on the wire by us.
fn check_head<B>(request: &Request<B>, limits: &HeadLimits) -> Result<(), Error> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > limits.uri_bytes_max {
        return Err(crate::wire::too_large("uri_bytes_max", limits.uri_bytes_max, "bytes", 414));
    }
    if request.headers().len() > limits.header_fields_max {
        return Err(crate::wire::too_large("header_fields_max", limits.header_fields_max, "fields", 431));
    }
    let bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    if bytes > limits.header_bytes_max {
        return Err(crate::wire::too_large("header_bytes_max", limits.header_bytes_max, "bytes", 431));
    }
    let named = request.uri().authority().is_some() || request.headers().get_all(header::HOST).iter().count() == 1;
    if named { Ok(()) } else { Err(Error::invalid("there is no `:authority` and no `Host`")) }
}

/// A panic as an error; what it said goes to the log alone.
fn caught(id: &RequestId, panic: &(dyn std::any::Any + Send)) -> Error {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    let said = said.unwrap_or_else(|| "a panic without a text".to_owned());
    tracing::error!(event = "panicked", request = &*id.0, private = said);
    Error::internal(said)
}

/// The code of an answer: what its face left in the extensions, else what its status says.
fn code_of(answer: &Response<Body>) -> &'static str {
    if let Some(error) = answer.extensions().get::<Error>() {
        return error.code.name();
    }
    if let Some(code) = answer.extensions().get::<ErrorCode>() {
        return code.name();
    }
    if let Some(status) = answer.headers().get("grpc-status").and_then(|status| status.to_str().ok()?.parse::<u8>().ok()) {
        return CODES.iter().find(|row| row.grpc == status).map_or("ok", |row| row.name);
    }
    let status = answer.status().as_u16();
    if status < 400 {
        return "ok";
    }
    CODES.iter().find(|row| row.http == status).map_or("refused", |row| row.name)
}
