//! Which API a request is for, and what it does, as the log and the metrics say it.

use fourfold_model::Model;
use http::{HeaderMap, HeaderValue, Method, header};

use super::upgrade;

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    Rest,
    GraphQl,
    Grpc,
    WebSocket,
    /// Contracts, health, problems and the page.
    Public,
}

impl Api {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Api::Rest => "rest",
            Api::GraphQl => "graphql",
            Api::Grpc => "grpc",
            Api::WebSocket => "websocket",
            Api::Public => "public",
        }
    }
}

/// Where a request goes.
#[derive(Debug)]
pub(crate) struct Route<'a> {
    pub(crate) api: Api,
    /// `get`, `list`, …; never a client's own text.
    pub(crate) operation: &'static str,
    /// The plural of the entity, where it is one of the model's.
    pub(crate) entity: &'a str,
    /// Whether nobody has to say who they are.
    pub(crate) open: bool,
    /// Whether a WebSocket is asked for, where there may be one.
    pub(crate) socket: bool,
    /// Whether the body is a stream that may be idle.
    pub(crate) may_idle: bool,
    /// What a call's body is said to be: it tells gRPC, gRPC-Web and Connect apart.
    pub(crate) content_type: Option<HeaderValue>,
}

pub(crate) fn route<'a>(method: &Method, path: &str, headers: &HeaderMap, model: &'a Model) -> Route<'a> {
    let route =
        |api, operation, entity: &'a str| Route { api, operation, entity, open: false, socket: false, may_idle: false, content_type: None };
    if is_rpc(headers) {
        return rpc(path, headers, model);
    }
    if let Some(rest) = versioned(path, model) {
        let (operation, entity) = rest_operation(method, rest, headers, model);
        return route(Api::Rest, operation, entity);
    }
    match path {
        // Who asks is said inside its protocol.
        "/graphql" if upgrade::is_asked(method, headers) => Route { open: true, socket: true, ..route(Api::GraphQl, "connect", "") },
        "/graphql" => route(Api::GraphQl, "execute", ""),
        "/connection/websocket" => route(Api::WebSocket, "connect", ""),
        _ if is_service(path) => rpc(path, headers, model),
        "/live" | "/ready" | "/" => Route { open: true, ..route(Api::Public, "status", "") },
        _ if path.starts_with("/problems/") => Route { open: true, ..route(Api::Public, "problem", "") },
        _ => route(Api::Public, "contract", ""),
    }
}

/// gRPC and gRPC-Web say so by their type, and Connect's streams do.
fn is_rpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.starts_with(b"application/grpc") || kind.starts_with(b"application/connect")
    })
}

/// `/shop.v1.ProductService/GetProduct`: two segments, the first with a dot.
fn is_service(path: &str) -> bool {
    let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else { return false };
    service.contains('.') && !method.is_empty() && !method.contains('/')
}

/// What follows `/v1/`.
fn versioned<'a>(path: &'a str, model: &Model) -> Option<&'a str> {
    path.strip_prefix('/')?.strip_prefix(model.package.version.as_str())?.strip_prefix('/').filter(|_| !model.package.version.is_empty())
}

fn rpc<'a>(path: &str, headers: &HeaderMap, model: &'a Model) -> Route<'a> {
    let (service, method) = path.strip_prefix('/').and_then(|path| path.split_once('/')).unwrap_or_default();
    let operation = RPCS.iter().find(|(prefix, _)| method.starts_with(prefix)).map_or("rpc", |(_, operation)| *operation);
    let may_idle = operation == "ingest" || service.starts_with("grpc.");
    // Health is for probes, which have no token.
    let open = service == "grpc.health.v1.Health";
    let name = service.rsplit('.').next().and_then(|name| name.strip_suffix("Service")).unwrap_or_default();
    let entity = model.entities.iter().find(|entity| entity.name == name).map_or("", |entity| entity.plural.as_str());
    Route { api: Api::Grpc, operation, entity, open, socket: false, may_idle, content_type: headers.get(header::CONTENT_TYPE).cloned() }
}

const RPCS: &[(&str, &str)] = &[
    ("BatchGet", "batch_get"),
    ("Batch", "batch"),
    ("Get", "get"),
    ("List", "list"),
    ("Aggregate", "aggregate"),
    ("Create", "create"),
    ("Update", "update"),
    ("Upsert", "upsert"),
    ("Delete", "delete"),
    ("Ingest", "ingest"),
    ("Watch", "watch"),
];

fn rest_operation<'a>(method: &Method, rest: &str, headers: &HeaderMap, model: &'a Model) -> (&'static str, &'a str) {
    let (head, key) = rest.split_once('/').map_or((rest, None), |(head, key)| (head, Some(key)));
    let (plural, verb) = head.split_once(':').map_or((head, None), |(plural, verb)| (plural, Some(verb)));
    let entity = model.entity_by_plural(plural).map_or("", |id| model.entity(id).plural.as_str());
    let operation = match (method.as_str(), plural, verb, key) {
        (_, "batch", ..) => "batch",
        (_, "actions", ..) => "action",
        (_, _, Some("aggregate"), _) => "aggregate",
        ("GET" | "HEAD", _, _, None) => "list",
        ("GET" | "HEAD", ..) => "get",
        ("POST", ..) if super::is_ndjson(headers) => "ingest",
        ("POST", ..) => "create",
        ("PATCH", ..) => "update",
        ("PUT", ..) => "upsert",
        ("DELETE", ..) => "delete",
        ("OPTIONS", ..) => "options",
        _ => "other",
    };
    (operation, entity)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn check(method: &str, path: &str, kind: Option<&str>, expect: (Api, &str, &str)) {
        let mut model = Model::default();
        model.package.version = "v1".into();
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        }
        let route = route(&method.parse().unwrap(), path, &headers, &model);
        assert_eq!((route.api, route.operation, route.entity), expect, "{method} {path}");
    }

    #[test]
    fn requests_go_to_the_api_of_their_type_or_path() {
        check("GET", "/v1/products", None, (Api::Rest, "list", ""));
        check("POST", "/v1/products", Some("application/x-ndjson"), (Api::Rest, "ingest", ""));
        check("GET", "/v1/products:aggregate", None, (Api::Rest, "aggregate", ""));
        check("POST", "/graphql", Some("application/json"), (Api::GraphQl, "execute", ""));
        check("POST", "/shop.v1.ProductService/GetProduct", Some("application/json"), (Api::Grpc, "get", ""));
        check("POST", "/nowhere", Some("application/grpc+proto"), (Api::Grpc, "rpc", ""));
        check("GET", "/connection/websocket", None, (Api::WebSocket, "connect", ""));
        check("GET", "/openapi.json", None, (Api::Public, "contract", ""));
        check("GET", "/v2/products", None, (Api::Public, "contract", ""));
    }
}
