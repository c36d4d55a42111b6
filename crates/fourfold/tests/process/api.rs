//! The APIs of a server, and a client for each.

use fourfold_testkit::client::Client;
use fourfold_testkit::{framed, graphql, grpc, rest, websocket};

use crate::binary::Server;

pub const APIS: [&str; 5] = ["rest", "graphql", "connect", "grpc", "websocket"];

pub fn client(api: &str, server: &Server) -> Box<dyn Client> {
    match api {
        "rest" => Box::new(rest::Rest::new(server.address)),
        "graphql" => Box::new(graphql::GraphQl::new(server.address)),
        "connect" => Box::new(grpc::Connect::new(server.address)),
        "grpc" => Box::new(framed::Grpc::new(server.address)),
        "websocket" => Box::new(websocket::WebSocket::new(server.address)),
        other => panic!("no API `{other}`"),
    }
}
