//! One request on its way: what every method of the face works with.

use std::sync::Arc;

use fourfold_engine::{Engine, Executed};
use fourfold_model::{EntityId, Model, Value};
use fourfold_op::params::{Asking, Face, Pairs, query};
use fourfold_op::{Context, Error};

use crate::error::Refusal;
use crate::render::Steps;
use crate::route::{Resource, Routes};

/// One request on its way.
pub(crate) struct Exchange<'a> {
    pub(crate) engine: &'a Arc<Engine>,
    pub(crate) routes: &'a Routes,
    pub(crate) context: &'a Context,
    pub(crate) head: &'a http::request::Parts,
    pub(crate) steps: Steps,
}

impl<'a> Exchange<'a> {
    pub(crate) fn model(&self) -> &'a Model {
        self.engine.model()
    }

    pub(crate) fn asking(&self) -> Asking<'a> {
        Asking::new(self.engine.model(), self.engine.limits(), Face::Rest)
    }

    pub(crate) fn pairs(&self) -> Result<Pairs<'a>, Error> {
        let head: &'a http::request::Parts = self.head;
        query(head.uri.query().unwrap_or_default())
    }

    /// Keeps what the engine's answer took.
    pub(crate) fn executed(&mut self, executed: &Executed) {
        self.steps.executed(executed.timing);
    }

    /// A key from its text in the path.
    pub(crate) fn key(&self, resource: &Resource, text: &str) -> Result<Value, Error> {
        fourfold_op::params::parse_key(self.model(), resource.entity, text)
    }

    pub(crate) fn no_row(&self, entity: EntityId) -> Refusal {
        Error::not_found(&self.model().entity(entity).name).into()
    }
}
