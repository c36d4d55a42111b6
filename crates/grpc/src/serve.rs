//! Which method a path is, and what answers it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::Engine;
use fourfold_model::{EntityId, Model};
use fourfold_op::Error;

use crate::entity::Request;
use crate::error::{self, Status};
use crate::face::Face;
use crate::health::Health;
use crate::message::Part;
use crate::reflection::Reflection;
use crate::schema::service::{VERBS, Verb};
use crate::schema::{exposed, standard};
use crate::transport::{Call, Kind, Later, Messages, Methods};
use crate::{aggregate, batch, ingest, watch};

/// Answers the methods of a model.
pub struct Served {
    pub face: Arc<Face>,
    pub health: Health,
    methods: MethodMap,
    reflection: Reflection,
}

/// By path: `shop.v1.ProductService/GetProduct`. Its keys are the model's, so a quick hash is safe.
type MethodMap = HashMap<String, Method, foldhash::fast::RandomState>;

/// What a path is.
#[derive(Clone, Copy, Debug)]
enum Method {
    Entity(EntityId, Verb),
    Batch,
    HealthCheck,
    HealthList,
    HealthWatch,
    Reflection,
}

impl Served {
    /// Serves the engine's model.
    pub fn new(engine: Arc<Engine>) -> Served {
        let methods = methods(engine.model());
        let services = services(&methods);
        let reflection = Reflection::new(engine.model(), services.clone());
        Served { methods, health: Health::new(services), reflection, face: Arc::new(Face::new(engine)) }
    }

    async fn answer(&self, call: Call, message: &[u8]) -> Result<Vec<u8>, Error> {
        let method = self.methods.get(call.path.as_str()).ok_or_else(|| error::unimplemented(&call.path))?;
        let part = self.face.part(message, call.format)?;
        let answer = match *method {
            Method::Entity(id, verb) => self.entity(id, verb, call, part).await?,
            Method::Batch => batch::batch(&self.face, call, part).await?,
            Method::HealthCheck => self.health.check(part)?,
            Method::HealthList => self.health.list(call.format),
            Method::HealthWatch | Method::Reflection => return Err(error::unimplemented(&call.path)),
        };
        self.face.fitting(answer)
    }

    async fn entity(&self, id: EntityId, verb: Verb, call: Call, part: Part<'_>) -> Result<Vec<u8>, Error> {
        let reading = self.face.reading(id);
        let arguments = part.arguments(reading, verb.parameters())?;
        let request = Request { face: &self.face, id, reading, arguments, format: call.format };
        match verb {
            Verb::Get => request.get(&call.context).await,
            Verb::List => request.list(&call.context).await,
            Verb::BatchGet => request.batch_get(&call.context).await,
            Verb::Aggregate => aggregate::aggregate(&self.face, &call.context, id, reading, &request.arguments, call.format).await,
            Verb::Create | Verb::Update | Verb::Upsert | Verb::Delete => request.write(verb, call.context).await,
            Verb::Watch | Verb::Ingest => Err(error::unimplemented(&call.path)),
        }
    }
}

impl Methods for Served {
    fn kind(&self, path: &str) -> Option<Kind> {
        Some(match self.methods.get(path)? {
            Method::Entity(_, Verb::Ingest) | Method::Reflection => Kind::Streams,
            Method::Entity(_, Verb::Watch) | Method::HealthWatch => Kind::ServerStream,
            Method::Entity(_, verb) => Kind::Unary(verb.reads()),
            Method::Batch | Method::HealthCheck | Method::HealthList => Kind::Unary(false),
        })
    }

    fn unary(self: Arc<Self>, call: Call, message: Bytes) -> Later<Result<Vec<u8>, Status>> {
        Box::pin(async move {
            let request = call.context.request.clone();
            self.answer(call, &message).await.map_err(|error| self.face.status(&error, &request))
        })
    }

    fn stream(self: Arc<Self>, call: Call, messages: Messages) -> Later<Result<Messages, Status>> {
        Box::pin(async move {
            match self.methods.get(call.path.as_str()) {
                Some(Method::Entity(id, Verb::Ingest)) => Ok(ingest::ingest(self.face.clone(), *id, call, messages)),
                Some(Method::Entity(id, Verb::Watch)) => watch::watch(self.face.clone(), *id, call, messages).await,
                Some(Method::Reflection) => Ok(self.reflection.answers(call.format, messages)),
                Some(Method::HealthWatch) => self.health.watch(call.format, messages).await,
                _ => Err(self.face.status(&error::unimplemented(&call.path), &call.context.request)),
            }
        })
    }
}

fn methods(model: &Model) -> MethodMap {
    let package = &model.package.name;
    let mut methods = MethodMap::default();
    for (id, entity) in exposed(model) {
        for verb in VERBS.into_iter().filter(|verb| verb.serves(entity)) {
            methods.insert(format!("{package}.{}Service/{}", entity.name, verb.method(entity)), Method::Entity(id, verb));
        }
    }
    if exposed(model).any(|(_, entity)| !entity.readonly) {
        methods.insert(format!("{package}.BatchService/Batch"), Method::Batch);
    }
    for (method, is) in [("Check", Method::HealthCheck), ("List", Method::HealthList), ("Watch", Method::HealthWatch)] {
        methods.insert(format!("grpc.health.v1.Health/{method}"), is);
    }
    for version in standard::REFLECTION_VERSIONS {
        methods.insert(format!("grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"), Method::Reflection);
    }
    methods
}

/// The services that have a method, sorted.
fn services(methods: &MethodMap) -> Vec<String> {
    let mut services: Vec<String> = methods.keys().filter_map(|path| path.split_once('/').map(|(service, _)| service.to_owned())).collect();
    services.sort_unstable();
    services.dedup();
    services
}
