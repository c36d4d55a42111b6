//! Faces that this build does not serve yet: each answers `unimplemented`.

use std::sync::Arc;

use fourfold_engine::Engine;
use fourfold_op::{Authenticate, Context, Error, ErrorCode};
use http::{Request, Response};

use crate::body::Body;
use crate::problem::problem;

macro_rules! pending {
    ($name:ident $words:literal) => {
        pub(crate) struct $name;
        impl $name {
            pub(crate) async fn serve(&self, context: Context, _request: Request<Body>) -> Response<Body> {
                problem(
                    &Error::new(ErrorCode::Unimplemented, concat!("this build does not serve ", $words, " yet")),
                    Some(&context.request),
                )
            }
        }
    };
}
pending!(GraphQl "GraphQL");
pending!(WebSocket "WebSocket");

impl GraphQl {
    pub(crate) fn new(_engine: Arc<Engine>) -> GraphQl {
        GraphQl
    }
}
impl WebSocket {
    pub(crate) fn new(_engine: Arc<Engine>, _auth: Arc<dyn Authenticate>) -> WebSocket {
        WebSocket
    }
}
