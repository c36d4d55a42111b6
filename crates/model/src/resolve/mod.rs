//! The syntax tree to a [`Model`]: every name an id, every number from the lock, every attribute checked.
//!
//! The steps are those of [`resolve`]; each goes on after an error, so that all are told at once.

mod actions;
mod args;
mod channels;
mod declare;
mod entity_attrs;
mod field_attrs;
mod generated;
mod inverses;
mod members;
mod naming;
mod reads;
mod served;
mod shapes;
mod tests;
mod values;
mod whole;

use std::collections::{HashMap, HashSet};

use smol_str::SmolStr;

use crate::Lock;
use crate::ast::{File, Item, ItemKind, Span, TypeItem};
use crate::diagnostics::Diagnostic;
use crate::lock::{self, Wish, Wishes};
use crate::model::*;

pub(crate) use shapes::Placed;

/// What a type's name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    Scalar(Base),
    Entity(EntityId),
}

pub(crate) struct Resolver<'a> {
    pub(crate) file: &'a File,
    pub(crate) model: Model,
    pub(crate) diagnostics: Vec<Diagnostic>,
    types: HashMap<SmolStr, Declared>,
    /// In the order of `model.entities`.
    pub(crate) entity_items: Vec<(&'a Item, &'a TypeItem)>,
    /// In the order of `model.owned`.
    pub(crate) owned_items: Vec<(&'a Item, &'a TypeItem)>,
    /// What each member of an entity became, in the order of its item's members.
    pub(crate) entity_placed: Vec<Vec<Placed>>,
    owned_placed: Vec<Vec<Placed>>,
    wishes: Wishes,
    /// (type, member) whose own diagnostics have been told.
    broken: Vec<(SmolStr, SmolStr)>,
    /// Where a generated name that meets another has been told.
    met: HashSet<usize>,
    /// Where each name of the model stands, for diagnostics about generated names.
    pub(crate) spans: HashMap<(SmolStr, SmolStr), Span>,
}

/// Resolves `file`, as far as it can be. `text` gives rules their lines.
pub(crate) fn resolve<'a>(file: &'a File, text: &str, old: &Lock) -> (Resolver<'a>, Lock) {
    let mut resolver = Resolver::new(file);
    resolver.package();
    resolver.declare();
    resolver.claims();
    resolver.shapes();
    resolver.inverses();
    resolver.naming_blocks();
    resolver.idle_renames(old);
    let lock = lock::merge(old, &resolver.wishes, &mut resolver.model);
    resolver.claim_attrs();
    resolver.member_attrs();
    resolver.entity_attrs(text);
    resolver.actions();
    resolver.channels();
    resolver.tests(text);
    resolver.generated_names();
    resolver.whole();
    (resolver, lock)
}

impl<'a> Resolver<'a> {
    fn new(file: &'a File) -> Resolver<'a> {
        Resolver {
            file,
            model: Model { doc: file.doc.clone(), ..Model::default() },
            diagnostics: Vec::new(),
            types: HashMap::new(),
            entity_items: Vec::new(),
            owned_items: Vec::new(),
            entity_placed: Vec::new(),
            owned_placed: Vec::new(),
            wishes: Wishes::new(),
            broken: file.broken.clone(),
            met: HashSet::new(),
            spans: HashMap::new(),
        }
    }

    fn error(&mut self, span: &Span, message: impl Into<String>, label: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(span.clone(), message, label));
    }

    fn error_with_help(&mut self, span: &Span, message: impl Into<String>, label: impl Into<String>, help: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(span.clone(), message, label).help(help));
    }

    fn wish(&mut self, owner: &SmolStr, member: &str) -> &mut Wish {
        self.wishes.entry((owner.clone(), SmolStr::new(member))).or_default()
    }

    fn items(&self) -> impl Iterator<Item = &'a Item> + use<'a> {
        self.file.items.iter()
    }

    /// The items of the `caller` block, if there is one.
    fn caller_item(&self) -> Option<&'a Item> {
        self.items().find(|item| matches!(item.kind, ItemKind::Caller(_)))
    }
}
