//! The face: which method a path is, and what each answers.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use fourfold_engine::{Engine, Prepared};
use fourfold_model::expr::{Expr, ExprKind, ExprType};
use fourfold_model::{Entity, EntityId, Model, Value};
use fourfold_op::json::{self, Dialect};
use fourfold_op::{
    Answered, Context, Cursor, Error, ErrorCode, IdempotencyKey, List, Operand, Operation, Outcome, Page, Record, RequestId, Row, Select,
    SelectKind, Write, Written,
};

use crate::error::{self, Sender, Status};
use crate::health::Health;
use crate::message::{Arguments, Part, Reading};
use crate::reflection::Reflection;
use crate::schema::service::{VERBS, Verb};
use crate::schema::{exposed, standard};
use crate::selection::{Selection, Values, selection};
use crate::transport::{Call, Format, Kind, Later, Messages, Methods};
use crate::writes::{Asked, asked};
use crate::{aggregate, batch, filter, ingest, order, render, watch};

/// Answers the methods of a model.
pub struct Face {
    pub(crate) engine: Arc<Engine>,
    methods: MethodMap,
    /// By entity: what is prepared once.
    shapes: Vec<Option<Shape>>,
    health: Health,
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

/// The shapes of an entity that most requests have.
struct Shape {
    selection: Selection,
    get: Option<Arc<Prepared>>,
    list: Option<Arc<Prepared>>,
}

impl Face {
    /// Prepares the methods of the engine's model.
    pub fn new(engine: Arc<Engine>) -> Face {
        let model = engine.model().clone();
        let shapes =
            model.entity_ids().map(|(id, entity)| crate::schema::is_exposed(entity).then(|| Shape::new(&engine, id, entity))).collect();
        let methods = methods(&model);
        let services = services(&methods);
        Face { methods, shapes, health: Health::new(services.clone()), reflection: Reflection::new(&model, services), engine }
    }

    /// What is served, for health and readiness.
    pub fn health(&self) -> &Health {
        &self.health
    }

    fn model(&self) -> &Model {
        self.engine.model()
    }

    pub(crate) fn status(&self, error: &Error, request: &RequestId) -> Status {
        self.status_at(error, request, None)
    }

    /// The status of an end after which a watch can go on from a cursor.
    pub(crate) fn status_at(&self, error: &Error, request: &RequestId, cursor: Option<&Cursor>) -> Status {
        Status::new(error, Sender { domain: &self.model().package.name, request: Some(request), cursor })
    }

    pub(crate) fn reading(&self, id: EntityId) -> Reading<'_> {
        Reading { model: self.model(), entity: self.model().entity(id), limits: self.engine.limits() }
    }

    async fn answer(&self, call: Call, message: &[u8]) -> Result<Vec<u8>, Error> {
        let method = self.methods.get(call.path.as_str()).ok_or_else(|| error::unimplemented(&call.path))?;
        let part = self.part(message, call.format)?;
        let answer = match *method {
            Method::Entity(id, verb) => self.entity(id, verb, call, part).await?,
            Method::Batch => batch::batch(self, call, part).await?,
            Method::HealthCheck => self.health.check(part)?,
            Method::HealthList => self.health.list(call.format),
            Method::HealthWatch | Method::Reflection => return Err(error::unimplemented(&call.path)),
        };
        self.fitting(answer)
    }

    /// A message that may be sent.
    pub(crate) fn fitting(&self, message: Vec<u8>) -> Result<Vec<u8>, Error> {
        let bytes_max = self.engine.limits().grpc_message_bytes_max;
        if message.len() > bytes_max { Err(error::too_large(bytes_max)) } else { Ok(message) }
    }

    /// A message as it came, known to be text where it is JSON.
    pub(crate) fn part<'a>(&self, message: &'a [u8], format: Format) -> Result<Part<'a>, Error> {
        match format {
            Format::Proto => Ok(Part::Proto(message)),
            Format::Json => json::Reader::new(self.model(), self.engine.limits(), Dialect::Proto).check_text(message).map(Part::Json),
        }
    }

    async fn entity(&self, id: EntityId, verb: Verb, call: Call, part: Part<'_>) -> Result<Vec<u8>, Error> {
        let reading = self.reading(id);
        let arguments = part.arguments(reading, verb.parameters())?;
        let request = Request { face: self, id, reading, arguments, format: call.format };
        match verb {
            Verb::Get => request.get(&call.context).await,
            Verb::List => request.list(&call.context).await,
            Verb::BatchGet => request.batch_get(&call.context).await,
            Verb::Aggregate => aggregate::aggregate(self, &call.context, id, reading, &request.arguments, call.format).await,
            Verb::Create | Verb::Update | Verb::Upsert | Verb::Delete => request.write(verb, call.context).await,
            Verb::Watch | Verb::Ingest => Err(error::unimplemented(&call.path)),
        }
    }
}

impl Methods for Face {
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
            self.answer(call, &message).await.map_err(|error| self.status(&error, &request))
        })
    }

    fn stream(self: Arc<Self>, call: Call, messages: Messages) -> Later<Result<Messages, Status>> {
        Box::pin(async move {
            match self.methods.get(call.path.as_str()) {
                Some(Method::Entity(id, Verb::Ingest)) => Ok(ingest::ingest(self.clone(), *id, call, messages)),
                Some(Method::Entity(id, Verb::Watch)) => watch::watch(self.clone(), *id, call, messages).await,
                Some(Method::Reflection) => Ok(self.reflection.answers(call.format, messages)),
                Some(Method::HealthWatch) => self.health.watch(call.format, messages).await,
                _ => Err(self.status(&error::unimplemented(&call.path), &call.context.request)),
            }
        })
    }
}

impl Shape {
    fn new(engine: &Engine, id: EntityId, entity: &Entity) -> Shape {
        let selection = Selection::all(entity);
        let select = |kind| Select { entity: id, kind, fields: selection.fields.clone(), nested: Vec::new() };
        // What cannot be prepared (nobody may read it, say) is refused again, with its reason, when it is asked for.
        let prepare = |kind| engine.prepare(&Operation::Read(vec![select(kind)])).ok();
        let list = List { size: Some(Operand(0)), ..List::default() };
        Shape { get: prepare(SelectKind::Get { key: Operand(0) }), list: prepare(SelectKind::List(list)), selection }
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

/// A request to an entity's service.
struct Request<'a> {
    face: &'a Face,
    id: EntityId,
    reading: Reading<'a>,
    arguments: Arguments<'a>,
    format: Format,
}

impl Request<'_> {
    fn shape(&self) -> Option<&Shape> {
        self.face.shapes.get(usize::from(self.id.0)).and_then(Option::as_ref)
    }

    fn selection(&self, mask: u32, values: &mut Values) -> Result<Selection, Error> {
        selection(self.reading.model, self.id, self.arguments.texts(mask), self.reading.limits, values)
    }

    async fn get(&self, context: &Context) -> Result<Vec<u8>, Error> {
        let key = self.arguments.key(1).ok_or_else(|| Error::invalid_at("/id", "`id` is required: the row's key"))?;
        if let (Some(Shape { get: Some(prepared), selection, .. }), []) = (self.shape(), self.arguments.texts(2)) {
            let executed = self.face.engine.execute_prepared(context, prepared, &[key]).await?;
            return self.one(executed.outcome, selection);
        }
        let mut values = Values::default();
        let kind = SelectKind::Get { key: values.push(key)? };
        let selection = self.selection(2, &mut values)?;
        let outcome = self.read(context, vec![kind], &selection, values).await?;
        self.one(outcome, &selection)
    }

    fn one(&self, outcome: Outcome, selection: &Selection) -> Result<Vec<u8>, Error> {
        match first(outcome) {
            Some(Answered::Row(Some(record))) => Ok(self.message(selection, &record)),
            _ => Err(Error::not_found(&self.reading.entity.name)),
        }
    }

    async fn read(&self, context: &Context, kinds: Vec<SelectKind>, selection: &Selection, values: Values) -> Result<Outcome, Error> {
        let select = |kind| Select { entity: self.id, kind, fields: selection.fields.clone(), nested: selection.nested.clone() };
        let operation = Operation::Read(kinds.into_iter().map(select).collect());
        Ok(self.face.engine.execute(context, &operation, &values.0).await?.outcome)
    }

    async fn list(&self, context: &Context) -> Result<Vec<u8>, Error> {
        let size = self.page_size()?;
        let arguments = &self.arguments;
        let plain =
            [2, 3, 4, 5].iter().all(|number| arguments.text(*number).is_empty()) && arguments.texts(6).is_empty() && !arguments.flag(7);
        if let (Some(Shape { list: Some(prepared), selection, .. }), true) = (self.shape(), plain) {
            let executed = self.face.engine.execute_prepared(context, prepared, &[size]).await?;
            return self.page(executed.outcome, selection);
        }
        if !arguments.text(4).is_empty() {
            return Err(error::unimplemented("`search`"));
        }
        let Reading { model, limits, .. } = self.reading;
        let mut values = Values::default();
        let size = Some(values.push(size)?);
        let after = match arguments.text(2) {
            "" => None,
            token => Some(values.push(Value::text(token))?),
        };
        let filter = filter::filter(model, self.id, arguments.text(3), limits, &mut values)?;
        let order = order::order(model, self.id, arguments.text(5), limits)?;
        let selection = self.selection(6, &mut values)?;
        let list = List { filter, order, size, after, total: arguments.flag(7), cursors: false };
        let outcome = self.read(context, vec![SelectKind::List(list)], &selection, values).await?;
        self.page(outcome, &selection)
    }

    fn page_size(&self) -> Result<Value, Error> {
        match self.arguments.number(1).unwrap_or(0) {
            size if size < 0 => Err(Error::invalid_at("/page_size", format!("`{size}` is no page size; expected 0 or more rows"))),
            0 => Ok(Value::Int(i64::from(self.reading.limits.page_size_default))),
            size => Ok(Value::Int(size)),
        }
    }

    fn page(&self, outcome: Outcome, selection: &Selection) -> Result<Vec<u8>, Error> {
        let Outcome::Read(mut answers, cursor) = outcome else { return Err(Error::internal("a list was answered as a write")) };
        let Some(Answered::Page(page)) = answers.pop() else { return Err(Error::internal("a list was answered without a page")) };
        let end = PageEnd { next: page.next.as_deref(), total: page.total, capped: page.total_capped, cursor: cursor.to_string() };
        Ok(match self.format {
            Format::Proto => self.proto_page(&page, selection, &end),
            Format::Json => self.json_page(&page, selection, &end),
        })
    }

    fn proto_page(&self, page: &Page, selection: &Selection, end: &PageEnd<'_>) -> Vec<u8> {
        use fourfold_op::wire::bytes::{put_bytes, put_number};
        let Reading { model, entity, .. } = self.reading;
        let mut out = Vec::with_capacity(64 + page.items.len() * 128);
        for item in &page.items {
            render::put_record(&mut out, 1, model, entity, selection.shown(), item);
        }
        if let Some(next) = end.next {
            put_bytes(&mut out, 2, next.as_bytes());
        }
        if let Some(total) = end.total {
            put_number(&mut out, 3, total);
            put_number(&mut out, 5, u64::from(end.capped));
        }
        put_bytes(&mut out, 4, end.cursor.as_bytes());
        out
    }

    fn json_page(&self, page: &Page, selection: &Selection, end: &PageEnd<'_>) -> Vec<u8> {
        let Reading { model, entity, .. } = self.reading;
        let mut out = Vec::with_capacity(64 + page.items.len() * 256);
        let mut object = render::Object::new(&mut out);
        let rows = object.member(&entity.plural);
        render::json_list(rows, page.items.iter(), |out, item| render::record(out, model, entity, selection.shown(), item, Format::Json));
        if let Some(next) = end.next {
            object.text("next_page_token", next);
        }
        if let Some(total) = end.total {
            object.number("total_size", i64::try_from(total).unwrap_or(i64::MAX));
            object.value("total_capped", model, fourfold_model::Base::Boolean, &Value::Boolean(end.capped));
        }
        object.text("cursor", &end.cursor);
        object.end();
        out
    }

    fn message(&self, selection: &Selection, record: &Record) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        render::record(&mut out, self.reading.model, self.reading.entity, selection.shown(), record, self.format);
        out
    }

    async fn batch_get(&self, context: &Context) -> Result<Vec<u8>, Error> {
        let keys = self.arguments.keys(1);
        let Reading { model, entity, limits } = self.reading;
        if keys.is_empty() {
            return Err(Error::invalid_at("/ids", "`ids` is required: at least one key"));
        }
        if keys.len() > limits.page_size_max as usize {
            return Err(Error::limit("page_size_max", limits.page_size_max as usize, "keys in `ids`"));
        }
        let mut values = Values::default();
        let list = self.keyed(keys, &mut values)?;
        let selection = self.selection(2, &mut values)?;
        let outcome = self.read(context, vec![SelectKind::List(list)], &selection, values).await?;
        let found = match first(outcome) {
            Some(Answered::Page(page)) if page.more => {
                return Err(Error::limit("page_bytes_max", limits.page_bytes_max, "bytes in one answer; ask for fewer keys"));
            }
            Some(Answered::Page(page)) => page.items,
            _ => return Err(Error::internal("a list was answered without a page")),
        };
        let found: HashMap<&Value, &Record> = found.iter().map(|record| (record.row.value(fourfold_model::KEY), record)).collect();
        let records: Vec<&Record> =
            keys.iter().map(|key| found.get(key).copied().ok_or_else(|| Error::not_found(&entity.name))).collect::<Result<_, _>>()?;
        let mut out = Vec::new();
        match self.format {
            Format::Proto => {
                records.iter().copied().for_each(|record| render::put_record(&mut out, 1, model, entity, selection.shown(), record))
            }
            Format::Json => {
                let mut object = render::Object::new(&mut out);
                let rows = object.member(&entity.plural);
                render::json_list(rows, records.iter().copied(), |out, one| {
                    render::record(out, model, entity, selection.shown(), one, Format::Json)
                });
                object.end();
            }
        }
        Ok(out)
    }

    /// The rows with these keys as one list, so that however many they are it is one statement and one shape.
    fn keyed(&self, keys: &[Value], values: &mut Values) -> Result<List, Error> {
        let base = self.reading.entity.key_type();
        let size = values.push(Value::Int(i64::from(self.reading.limits.page_size_max)))?;
        let all = values.push(Value::List(keys.into()))?;
        let key = Expr::field(fourfold_model::KEY, ExprType::one(base));
        let within = Expr::boolean(ExprKind::In(Box::new(key), Box::new(Expr::value(all.0, ExprType::list(base)))));
        Ok(List { filter: Some(within), size: Some(size), ..List::default() })
    }

    async fn write(&self, verb: Verb, mut context: Context) -> Result<Vec<u8>, Error> {
        let mut values = Values::default();
        let asked = asked(verb, self.id, self.reading, &self.arguments, &mut values)?;
        identify(&mut context, &asked.request_id, self.reading.limits.idempotency_key_max)?;
        let written = match self.commit(&context, &asked, &values).await {
            Err(error) if error.code == ErrorCode::NotFound && asked.may_be_missing => return Ok(self.empty()),
            written => written?,
        };
        if verb == Verb::Delete {
            return Ok(self.empty());
        }
        let record = written.record.unwrap_or_else(|| self.bare(written.key, written.revision));
        Ok(self.message(&asked.selection, &record))
    }

    async fn commit(&self, context: &Context, asked: &Asked, values: &Values) -> Result<Written, Error> {
        let first = self.commit_one(context, &asked.write, values).await;
        match (first, &asked.otherwise) {
            // Not found, or (when the request is sent twice) found to have been done as the creation that it came to.
            (Err(error), Some(create)) if matches!(error.code, ErrorCode::NotFound | ErrorCode::IdempotencyMismatch) => {
                self.commit_one(context, create, values).await
            }
            (first, _) => first,
        }
    }

    async fn commit_one(&self, context: &Context, write: &Write, values: &Values) -> Result<Written, Error> {
        let operation = Operation::Write(vec![write.clone()]);
        match self.face.engine.execute(context, &operation, &values.0).await?.outcome {
            Outcome::Written(written, _) => written.into_iter().next().ok_or_else(|| Error::internal("a write without an answer")),
            Outcome::Read(..) => Err(Error::internal("a write was answered as a read")),
        }
    }

    fn empty(&self) -> Vec<u8> {
        if self.format == Format::Json { b"{}".to_vec() } else { Vec::new() }
    }

    /// What is said of a row that its writer may not read.
    fn bare(&self, key: Value, revision: u64) -> Record {
        bare(self.reading.entity, key, revision)
    }
}

/// A row of which only the key and the revision are told.
pub fn bare(entity: &Entity, key: Value, revision: u64) -> Record {
    let mut row = Row::nulls(entity.fields.len());
    row.set(fourfold_model::KEY, key);
    row.set(fourfold_model::REVISION, Value::Int(i64::try_from(revision).unwrap_or(i64::MAX)));
    Record { row, nested: Vec::new() }
}

struct PageEnd<'a> {
    next: Option<&'a str>,
    total: Option<u64>,
    capped: bool,
    cursor: String,
}

fn first(outcome: Outcome) -> Option<Answered> {
    match outcome {
        Outcome::Read(answers, _) => answers.into_iter().next(),
        Outcome::Written(..) => None,
    }
}

/// Makes a request's own id the key under which it is done once.
///
/// # Errors
/// `invalid_argument` for an id with other than visible characters, `limit_exceeded`.
pub fn identify(context: &mut Context, request_id: &str, characters_max: usize) -> Result<(), Error> {
    if request_id.is_empty() {
        return Ok(());
    }
    if request_id.len() > characters_max {
        return Err(Error::limit("idempotency_key_max", characters_max, "characters in `request_id`"));
    }
    if !request_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid_at("/request_id", "`request_id` is 1 to 255 visible ASCII characters"));
    }
    context.idempotency = Some(IdempotencyKey(request_id.into()));
    Ok(())
}
