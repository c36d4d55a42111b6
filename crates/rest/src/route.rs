//! Paths: what is addressed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use fourfold_engine::{Engine, Prepared};
use fourfold_model::{Entity, EntityId, FieldId, Model, SmolStr};
use fourfold_op::params::{Face, default_read, percent_decode};
use fourfold_op::render::RowShape;
use fourfold_op::{Error, ErrorCode, List, Operand, Operation, Select, SelectKind, json};

use crate::render::Caching;

/// An entity that this face serves, with what its hot paths need.
pub(crate) struct Resource {
    pub(crate) entity: EntityId,
    pub(crate) shape: Arc<RowShape>,
    /// A get of every readable field; `None` where it cannot be prepared (the slow way then says why).
    pub(crate) get: Option<Arc<Prepared>>,
    /// A first page without parameters.
    pub(crate) list: Option<Arc<Prepared>>,
    /// Of an answer that shows no relation.
    pub(crate) caching: Caching,
    pub(crate) readonly: bool,
}

impl Resource {
    fn new(engine: &Engine, entity: EntityId) -> Resource {
        let (fields, shape) = default_read(engine.model(), entity);
        let prepare = |kind: SelectKind| engine.prepare(&read(entity, kind, fields.clone())).ok();
        let get = prepare(SelectKind::Get { key: Operand(0), cursor: false });
        let list = prepare(SelectKind::List(List::default()));
        let caching = Caching::of(engine.model(), None, entity);
        Resource { entity, shape, get, list, caching, readonly: engine.model().entity(entity).readonly }
    }
}

fn read(entity: EntityId, kind: SelectKind, fields: Vec<FieldId>) -> Operation {
    Operation::Read(vec![Select { entity, kind, fields, nested: Vec::new() }])
}

/// What a path addresses.
pub(crate) enum Route<'a> {
    Collection(&'a Resource),
    Aggregate(&'a Resource),
    Row(&'a Resource, Cow<'a, str>),
    Batch,
}

impl Route<'_> {
    /// The methods that are served.
    pub(crate) fn allow(&self) -> &'static str {
        match self {
            Route::Collection(resource) if resource.readonly => "GET, HEAD, OPTIONS",
            Route::Row(resource, _) if resource.readonly => "GET, HEAD, OPTIONS",
            Route::Aggregate(_) => "GET, HEAD, OPTIONS",
            Route::Collection(_) => "GET, HEAD, POST, OPTIONS",
            Route::Row(..) => "GET, HEAD, PATCH, PUT, DELETE, OPTIONS",
            Route::Batch => "POST, OPTIONS",
        }
    }
}

/// Everything that has a path.
pub(crate) struct Routes {
    /// `/v1/`
    prefix: String,
    resources: HashMap<SmolStr, Resource>,
}

impl Routes {
    pub(crate) fn new(engine: &Engine) -> Routes {
        let model = engine.model();
        let shown = model.entity_ids().filter(|(_, entity)| Face::Rest.shows(entity));
        let resources = shown.map(|(id, entity)| (entity.plural.clone(), Resource::new(engine, id))).collect();
        Routes { prefix: format!("/{}/", model.package.version), resources }
    }

    /// Where rows of an entity are: `/v1/products`.
    pub(crate) fn path(&self, entity: &Entity) -> String {
        format!("{}{}", self.prefix, entity.plural)
    }

    /// What a path addresses.
    ///
    /// # Errors
    /// `not_found`, `unimplemented` for what a later version serves, `invalid_argument` for a broken percent-encoding.
    pub(crate) fn find<'a>(&'a self, model: &Model, path: &'a str) -> Result<Route<'a>, Error> {
        let rest = path.strip_prefix(self.prefix.as_str()).ok_or_else(|| self.unknown(path))?;
        let (first, below) = rest.split_once('/').map_or((rest, None), |(first, below)| (first, Some(below)));
        if first == "batch" && below.is_none() {
            return Ok(Route::Batch);
        }
        if let Some(plural) = first.strip_suffix(":aggregate") {
            return self.resources.get(plural).filter(|_| below.is_none()).map(Route::Aggregate).ok_or_else(|| self.unknown(path));
        }
        match (self.resources.get(first), below) {
            (Some(resource), None) => Ok(Route::Collection(resource)),
            (Some(resource), Some(below)) => row(model, resource, below, path),
            (None, _) if matches!(first, "actions" | "channels" | "tickets") => {
                Err(Error::new(ErrorCode::Unimplemented, format!("`{first}` are not served yet")))
            }
            (None, _) => Err(self.unknown(path)),
        }
    }

    fn unknown(&self, path: &str) -> Error {
        let first = path.strip_prefix(self.prefix.as_str()).unwrap_or(path.trim_start_matches('/'));
        let first = first.split(['/', ':']).next().unwrap_or_default();
        let near = fourfold_model::names::closest(first, self.resources.keys().map(SmolStr::as_str));
        let hint = near.map(|near| format!("; did you mean `{}{near}`?", self.prefix)).unwrap_or_default();
        Error::new(ErrorCode::NotFound, format!("nothing is served at {}{hint}", json::quoted(path)))
    }
}

fn row<'a>(model: &Model, resource: &'a Resource, below: &'a str, path: &str) -> Result<Route<'a>, Error> {
    let entity = model.entity(resource.entity);
    match below.split_once('/') {
        None if below.is_empty() => Err(Error::new(
            ErrorCode::NotFound,
            format!("nothing is served at {}; did you mean it without the last `/`?", json::quoted(path)),
        )),
        None => Ok(Route::Row(resource, percent_decode(below)?)),
        Some((_, relation)) if entity.relation_by_name(relation).is_some() => {
            let hint = format!("ask for the row with `expand={relation}`, or for the list of the other side with a filter");
            Err(Error::new(ErrorCode::Unimplemented, format!("lists of a relation are not served yet; {hint}")))
        }
        Some((_, name)) => {
            let relations = entity.relations.iter().map(|relation| relation.name.as_str());
            let near = json::did_you_mean(name, relations);
            Err(Error::new(ErrorCode::NotFound, format!("`{}` has no relation {}{near}", entity.name, json::quoted(name))))
        }
    }
}
