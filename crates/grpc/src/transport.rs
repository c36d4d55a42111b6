//! The protocols: gRPC, gRPC-Web and Connect by `connectrpc`. Nothing else here knows that crate, so that another can take its place.

mod inbound;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use connectrpc::dispatcher::{RequestStream, StreamingResult, UnaryResult};
use connectrpc::{
    CodecFormat, CompressionPolicy, ConnectError, ConnectRpcService, DeadlinePolicy, Dispatcher, EncodedBody, ErrorCode, ErrorDetail,
    Limits, MethodDescriptor, Payload, Protocol, RequestContext, Response,
};
use fourfold_op::{Authenticated, Context};
use futures_util::{Stream, StreamExt};
use http::header::{CONTENT_TYPE, HeaderName};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tower_service::Service;

use crate::error::Status;
use inbound::Lender;

/// A body of the server's.
pub type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A future that may cross threads.
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Messages, one after another.
pub type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Format {
    Proto,
    Json,
}

/// What kind of call a method is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One message each way; with whether it only reads.
    Unary(bool),
    /// One message in, a stream out.
    ServerStream,
    /// A stream each way.
    Streams,
}

/// A call on its way.
pub struct Call {
    /// `shop.v1.ProductService/GetProduct`.
    pub path: String,
    /// Who calls, and until when.
    pub context: Context,
    /// When the credential ends, and what goes on under it: microseconds since 1970, UTC; `None`: never.
    pub expires_at_us: Option<i64>,
    /// How its messages are written.
    pub format: Format,
}

/// What answers calls.
pub trait Methods: Send + Sync + 'static {
    /// What kind of call a path is; `None` when nothing is served there.
    fn kind(&self, path: &str) -> Option<Kind>;
    /// Answers one message.
    fn unary(self: Arc<Self>, call: Call, message: Bytes) -> Later<Result<Vec<u8>, Status>>;
    /// Answers a stream (of one message, for a [`Kind::ServerStream`]).
    fn stream(self: Arc<Self>, call: Call, messages: Messages) -> Later<Result<Messages, Status>>;
}

/// Serves methods over HTTP.
pub struct Transport<M> {
    service: ConnectRpcService<Dispatch<M>>,
    methods: Arc<M>,
    message_bytes_max: usize,
}

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// Answers of Connect below this many bytes are not worth a compression.
const COMPRESS_MIN_BYTES: usize = 1_024;
/// What an envelope and a compressed message may take beyond the message itself.
const ENVELOPE_BYTES: usize = 1_024;

impl<M: Methods> Transport<M> {
    /// Serves `methods` with messages of at most `message_bytes_max`.
    pub fn new(methods: Arc<M>, message_bytes_max: usize) -> Transport<M> {
        let limits =
            Limits::default().with_max_message_size(message_bytes_max).with_max_request_body_size(message_bytes_max + ENVELOPE_BYTES);
        let service = ConnectRpcService::new(Dispatch(methods.clone()))
            .with_limits(limits)
            .with_compression_policy(CompressionPolicy::default().with_min_size(COMPRESS_MIN_BYTES))
            .with_deadline_policy(DeadlinePolicy::new().with_enforce_on_streams(true));
        Transport { service, methods, message_bytes_max }
    }

    /// Serves one request.
    pub async fn serve(&self, context: Context, mut request: http::Request<Body>) -> http::Response<Body> {
        request.extensions_mut().insert(context);
        let request = self.readable(request);
        // The service is a handle to shared parts: `call` wants it mutable and changes nothing.
        let Ok(response) = self.service.clone().call(request).await;
        response.map(|body| body.map_err(|never: Infallible| match never {}).boxed_unsync())
    }

    /// The request as `connectrpc` reads it: the body of a stream of gRPC can be lent, unless its messages may be compressed.
    fn readable(&self, request: http::Request<Body>) -> http::Request<UnsyncBoxBody<Bytes, BodyError>> {
        let is_one_of = |name, values: &[&str]| request.headers().get(name).is_none_or(|value| values.iter().any(|one| value == one));
        let is_plain = request.method() == http::Method::POST
            && request.headers().contains_key(CONTENT_TYPE)
            && is_one_of(CONTENT_TYPE, &["application/grpc", "application/grpc+proto"])
            && is_one_of(GRPC_ENCODING, &["identity"]);
        if !is_plain || self.methods.kind(request.uri().path().trim_start_matches('/')) != Some(Kind::Streams) {
            return request.map(|body| body.map_err(BodyError).boxed_unsync());
        }
        let (parts, body) = request.into_parts();
        let (rest, lender) = inbound::split(body, self.message_bytes_max);
        let mut request = http::Request::from_parts(parts, rest.boxed_unsync());
        request.extensions_mut().insert(lender);
        request
    }
}

/// An error of the request's body, as an error type that `connectrpc` takes.
#[derive(Debug)]
struct BodyError(Box<dyn std::error::Error + Send + Sync>);

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for BodyError {}

struct Dispatch<M>(Arc<M>);

impl<M: Methods> Dispatcher for Dispatch<M> {
    fn lookup(&self, path: &str) -> Option<MethodDescriptor> {
        Some(match self.0.kind(path)? {
            Kind::Unary(reads) => MethodDescriptor::unary(reads),
            Kind::ServerStream => MethodDescriptor::server_streaming(),
            Kind::Streams => MethodDescriptor::bidi_streaming(),
        })
    }

    fn call_unary(&self, path: &str, context: RequestContext, request: Payload, format: CodecFormat) -> UnaryResult {
        let compress = compress(&context);
        let Some(call) = call(path, context, format) else { return Box::pin(async { Err(not_authenticated()) }) };
        let answer = self.0.clone().unary(call, request.bytes().clone());
        Box::pin(async move {
            let bytes = answer.await.map_err(connect_error)?;
            Ok(Response::new(EncodedBody::Contiguous(bytes.into())).compress(compress))
        })
    }

    fn call_server_streaming(&self, path: &str, context: RequestContext, request: Bytes, format: CodecFormat) -> StreamingResult {
        let once = futures_util::stream::once(async move { Ok(request) });
        self.stream(path, context, Box::pin(once), format)
    }

    fn call_client_streaming(&self, path: &str, _: RequestContext, _: RequestStream, _: CodecFormat) -> UnaryResult {
        let error = ConnectError::unimplemented(format!("method not found: {path}"));
        Box::pin(async move { Err(error) })
    }

    fn call_bidi_streaming(
        &self,
        path: &str,
        mut context: RequestContext,
        requests: RequestStream,
        format: CodecFormat,
    ) -> StreamingResult {
        let messages: Messages = match context.extensions_mut().remove::<Lender>() {
            Some(lender) => lender.lend(requests),
            None => Box::pin(requests.map(|message| message.map_err(status))),
        };
        self.stream(path, context, messages, format)
    }
}

impl<M: Methods> Dispatch<M> {
    fn stream(&self, path: &str, context: RequestContext, messages: Messages, format: CodecFormat) -> StreamingResult {
        let compress = compress(&context);
        let Some(call) = call(path, context, format) else { return Box::pin(async { Err(not_authenticated()) }) };
        let answers = self.0.clone().stream(call, messages);
        Box::pin(async move {
            let answers = answers.await.map_err(connect_error)?;
            let encoded = answers.map(|answer| answer.map(EncodedBody::Contiguous).map_err(connect_error));
            Ok(Response::stream(encoded).compress(compress))
        })
    }
}

fn call(path: &str, mut context: RequestContext, format: CodecFormat) -> Option<Call> {
    let mut caller: Context = context.extensions_mut().remove()?;
    caller.deadline.0 = earliest(caller.deadline.0, context.deadline());
    let expires_at_us = context.extensions_mut().remove().as_ref().and_then(Authenticated::expires_at_us);
    let format = if format == CodecFormat::Json { Format::Json } else { Format::Proto };
    Some(Call { path: path.to_owned(), context: caller, expires_at_us, format })
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Every gRPC library says that it understands gzip, whether its user wants the bytes or the time. So a gRPC answer is compressed where
/// the request was; Connect says what it wants as HTTP does.
fn compress(context: &RequestContext) -> Option<bool> {
    let of_grpc = matches!(context.protocol(), Some(Protocol::Grpc | Protocol::GrpcWeb));
    let compressed = || context.header("grpc-encoding").is_some_and(|encoding| encoding.as_bytes() != b"identity");
    (of_grpc && !compressed()).then_some(false)
}

fn not_authenticated() -> ConnectError {
    ConnectError::internal("the request came without a context")
}

pub(crate) fn connect_error(status: Status) -> ConnectError {
    let code = ErrorCode::from_grpc_code(u32::from(status.code)).unwrap_or(ErrorCode::Unknown);
    let mut error = ConnectError::new(code, status.message);
    error.details = status.details.into_iter().map(|detail| detail_of(detail.type_name, &detail.bytes)).collect();
    error
}

fn detail_of(type_name: &str, bytes: &[u8]) -> ErrorDetail {
    ErrorDetail { type_url: type_name.to_owned(), value: Some(STANDARD_NO_PAD.encode(bytes)), debug: None }
}

/// What `connectrpc` itself found wrong with a message of a stream.
fn status(error: ConnectError) -> Status {
    let code = u8::try_from(error.code.grpc_code()).unwrap_or(2);
    Status { code, message: error.message.unwrap_or_default(), details: Vec::new() }
}
