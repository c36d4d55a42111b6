//! From a valid document to operations and the shape of the answer.
//!
//! What is compiled holds for every request with the same document and the same skeleton of variables.

mod aggregate;
mod filter;
mod list;
mod row;
mod watch;
mod write;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use apollo_compiler::ast::OperationType;
use apollo_compiler::executable::{DirectiveList, Field, Selection, SelectionSet};
use apollo_compiler::{ExecutableDocument, Node};
use bytes::Bytes;
use fourfold_engine::Prepared;
use fourfold_model::{Base, EntityId, FieldId, SmolStr};
use fourfold_op::{Error, Nested, Operand, Operation, Select, SelectKind};

pub(crate) use watch::WatchRequest;

use super::document::Document;
use super::input::{Input, Inputs, Leaf, Reading, Slot};
use super::variables::Variables;
use crate::catalog::Query;
use crate::error::Fault;
use crate::shape::{Entry, GroupPart, PageShape, PayloadPart, RowPart, Shape, text};

/// A compiled operation.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The members of `data`.
    pub roots: Shape<Root>,
    /// What the fields of a query read, all from one snapshot.
    pub read: Option<Request>,
    /// What a subscription watches.
    pub watch: Option<Arc<WatchRequest>>,
    /// Whether the schema itself is asked.
    pub introspects: bool,
    /// Whether it holds for other values too; not where a variable is the text of a `filter`.
    pub reusable: bool,
    /// What the schema answered, by response name, where no variable can change it.
    pub introspection: OnceLock<Arc<HashMap<String, Bytes>>>,
}

impl Compiled {
    /// Bytes that it takes in memory, roughly.
    pub fn weight(&self, document: &Document) -> u64 {
        1_024 + document.operation.all_fields(&document.valid).take(1_000).count() as u64 * 512
    }
}

/// An operation, and where its values come from.
#[derive(Debug)]
pub(crate) struct Request {
    pub operation: Operation,
    pub slots: Vec<Slot>,
    /// The operation, prepared at its first use.
    pub prepared: OnceLock<Arc<Prepared>>,
}

impl Request {
    fn new(operation: Operation, slots: Vec<Slot>) -> Request {
        Request { operation, slots, prepared: OnceLock::new() }
    }
}

/// A member of `data`.
#[derive(Debug)]
pub(crate) enum Root {
    Text(Box<[u8]>),
    Introspection,
    /// The select at this place of the read.
    Row {
        place: usize,
        shape: Shape<RowPart>,
    },
    Page {
        place: usize,
        shape: PageShape,
    },
    Groups {
        place: usize,
        shape: Shape<GroupPart>,
    },
    Write(Box<WriteRoot>),
}

/// A mutation: a commit of its own.
#[derive(Debug)]
pub(crate) struct WriteRoot {
    pub request: Request,
    pub payload: Shape<PayloadPart>,
}

/// Compiles an operation of a document.
///
/// # Errors
/// `invalid_argument` for what the schema alone cannot refuse, `limit_exceeded`.
pub(crate) fn compile(reading: Reading<'_>, document: &Document, variables: &Variables) -> Result<Compiled, Fault> {
    let inputs = Inputs { names: &document.variables, variables };
    let mut compiler = Compiler { reading, document: &document.valid, inputs, slots: Vec::new(), terms: 0, reusable: true };
    let mutates = document.operation.operation_type == OperationType::Mutation;
    let watches = document.operation.operation_type == OperationType::Subscription;
    let mut compiled =
        Compiled { roots: Vec::new(), read: None, watch: None, introspects: false, reusable: true, introspection: OnceLock::new() };
    let mut selects = Vec::new();
    for group in compiler.collect(&[&document.operation.selection_set])? {
        let at = |fault: Fault| fault.at(group.field.location(), &document.valid.sources);
        if watches {
            compiled.watch = Some(Arc::new(compiler.watch(&group).map_err(at)?));
            continue;
        }
        let root = match group.field.name.as_str() {
            "__typename" => Ok(Root::Text(text(if mutates { "Mutation" } else { "Query" }))),
            "__schema" | "__type" => {
                compiled.introspects = true;
                Ok(Root::Introspection)
            }
            _ if mutates => compiler.mutation(&group).map(|write| Root::Write(Box::new(write))),
            _ => compiler.query(&group, &mut selects),
        };
        compiled.roots.push(Entry::new(group.key, root.map_err(at)?));
    }
    compiled.reusable = compiler.reusable;
    if !selects.is_empty() {
        compiled.read = Some(Request::new(Operation::Read(selects), compiler.slots));
    }
    Ok(compiled)
}

/// Compiles one operation.
struct Compiler<'a> {
    reading: Reading<'a>,
    document: &'a ExecutableDocument,
    inputs: Inputs<'a>,
    slots: Vec<Slot>,
    /// Comparisons of filters so far.
    terms: usize,
    reusable: bool,
}

/// Fields of one selection that have one response name.
struct Group<'a> {
    key: &'a str,
    /// The first of them; all have the same name and arguments.
    field: &'a Node<Field>,
    /// What they select, together.
    sets: Vec<&'a SelectionSet>,
}

/// What a selection needs to read.
#[derive(Debug, Default)]
struct Reads {
    fields: BTreeSet<FieldId>,
    nested: Vec<Nested>,
}

impl<'a> Compiler<'a> {
    fn query(&mut self, group: &Group<'a>, selects: &mut Vec<Select>) -> Result<Root, Fault> {
        let place = selects.len();
        let unknown = || Fault::from(Error::internal(format!("`{}` is in the schema and not in the catalog", group.field.name)));
        match self.reading.catalog.queries.get(group.field.name.as_str()).copied().ok_or_else(unknown)? {
            Query::Package => Ok(Root::Text(text(&self.reading.model.package.name))),
            Query::One(entity) => {
                let key = self.key(entity, group.field)?;
                let (shape, reads) = self.row(entity, &group.sets)?;
                selects.push(reads.select(entity, SelectKind::Get { key, cursor: true }));
                Ok(Root::Row { place, shape })
            }
            Query::Many(entity) => {
                let (list, shape, reads) = self.list(entity, group)?;
                selects.push(reads.select(entity, SelectKind::List(list)));
                Ok(Root::Page { place, shape })
            }
            Query::Aggregate(entity) => {
                let (aggregate, shape) = self.aggregate(entity, group)?;
                selects.push(Reads::default().select(entity, SelectKind::Aggregate(aggregate)));
                Ok(Root::Groups { place, shape })
            }
        }
    }

    /// The argument `id`.
    fn key(&mut self, entity: EntityId, field: &'a Node<Field>) -> Result<Operand, Fault> {
        let base = self.reading.model.entity(entity).key_type();
        let id = self.argument(field, "id").ok_or_else(|| Fault::invalid("`id` is required"))?;
        self.operand(&id, base, false, "/id")
    }

    /// An argument that was given.
    fn argument(&self, field: &'a Node<Field>, name: &str) -> Option<Input<'a>> {
        self.inputs.resolve(field.specified_argument_by_name(name)?)
    }

    /// An argument that was given and is not null.
    fn some_argument(&self, field: &'a Node<Field>, name: &str) -> Option<Input<'a>> {
        self.argument(field, name).filter(|input| !input.is_null())
    }

    /// A value of the operation.
    fn operand(&mut self, input: &Input<'a>, base: Base, list: bool, pointer: &str) -> Result<Operand, Fault> {
        self.slot(input, Leaf { base, list, pointer: SmolStr::new(pointer), within: false })
    }

    fn slot(&mut self, input: &Input<'a>, leaf: Leaf) -> Result<Operand, Fault> {
        const SLOTS_MAX: usize = 4_096;
        if self.slots.len() >= SLOTS_MAX {
            return Err(Error::limit("graphql_values_max", SLOTS_MAX, "values").into());
        }
        let slot = self.inputs.slot(input, leaf, &self.reading)?;
        self.slots.push(slot);
        Ok(Operand((self.slots.len() - 1) as u16))
    }

    /// The fields of selections, by their response names in order of appearance (GraphQL, "CollectFields").
    ///
    /// Every type here is an object type, so a valid fragment always applies; each is taken once.
    fn collect(&self, sets: &[&'a SelectionSet]) -> Result<Vec<Group<'a>>, Fault> {
        let mut collected = Collected { groups: Vec::new(), places: HashMap::new(), fragments: HashSet::new() };
        for set in sets {
            self.collect_into(&mut collected, &set.selections)?;
        }
        Ok(collected.groups)
    }

    fn collect_into(&self, into: &mut Collected<'a>, selections: &'a [Selection]) -> Result<(), Fault> {
        for selection in selections {
            if !self.included(selection.directives())? {
                continue;
            }
            match selection {
                Selection::Field(field) => into.add(field),
                Selection::InlineFragment(fragment) => self.collect_into(into, &fragment.selection_set.selections)?,
                Selection::FragmentSpread(spread) => {
                    let name = spread.fragment_name.as_str();
                    let fragment = self.document.fragments.get(name);
                    if let Some(fragment) = fragment.filter(|_| into.fragments.insert(name)) {
                        self.collect_into(into, &fragment.selection_set.selections)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether `@skip` and `@include` leave a selection in.
    fn included(&self, directives: &'a DirectiveList) -> Result<bool, Fault> {
        for (name, wanted) in [("skip", false), ("include", true)] {
            let Some(literal) = directives.get(name).and_then(|directive| directive.specified_argument_by_name("if")) else { continue };
            let given = self.inputs.resolve(literal).and_then(|input| input.as_bool());
            let given = given.ok_or_else(|| Fault::invalid(format!("`if` of `@{name}` is neither true nor false")))?;
            if given != wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

struct Collected<'a> {
    groups: Vec<Group<'a>>,
    places: HashMap<&'a str, usize>,
    fragments: HashSet<&'a str>,
}

impl<'a> Collected<'a> {
    fn add(&mut self, field: &'a Node<Field>) {
        let key = field.response_key().as_str();
        match self.places.get(key).and_then(|place| self.groups.get_mut(*place)) {
            Some(group) => group.sets.push(&field.selection_set),
            None => {
                self.places.insert(key, self.groups.len());
                self.groups.push(Group { key, field, sets: vec![&field.selection_set] });
            }
        }
    }
}

impl Reads {
    fn select(self, entity: EntityId, kind: SelectKind) -> Select {
        Select { entity, kind, fields: self.fields.into_iter().collect(), nested: self.nested }
    }
}
