//! Preparing writes: what of an entity's rules, masks, `@set` and computed fields a write needs, compiled once.

use std::collections::HashMap;
use std::sync::Arc;

use fourfold_model::expr::{Expr, ExprKind, ExprType, Fold, FoldBy};
use fourfold_model::{Base, EntityId, Field, FieldId, KEY, Model, OwnedId, Relation, RelationKind, SharedModel, Verb};
use fourfold_op::{Answer, Error, ErrorCode, FieldError, Limits, Write, WriteKind};

use crate::compile::{Binds, Compiler, Frame, Kind, Rights, Source};
use crate::node::{Level, Node};

/// The row after the write.
pub(crate) const NEW: Level = 0;
/// The row before it.
pub(crate) const OLD: Level = 1;
/// An element of an owned list that is folded.
pub(crate) const ELEMENT: Level = 2;
/// `Bind`s from here on stand for the results of folds.
pub(crate) const FOLD: u16 = 0x8000;

/// Who asks for a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// A caller of one of the APIs.
    Client,
    /// A source of the settings.
    Source,
}

/// A write, prepared.
#[derive(Debug)]
pub(crate) struct PreparedWrite {
    pub write: Write,
    pub rules: Arc<EntityWrite>,
    pub limits: Limits,
}

/// Everything of an entity that its writes need.
#[derive(Debug)]
pub(crate) struct EntityWrite {
    /// Claims and `now`; values of requests never stand in rules.
    pub sources: Vec<Source>,
    /// Who sees the new row, and who the old.
    pub read_new: Node,
    pub read_old: Node,
    pub create: Vec<WriteRule>,
    pub update: Vec<WriteRule>,
    pub delete: Vec<Node>,
    /// `@allow(write, …)` of fields, on the new and on the old row.
    pub field_rules: Vec<(FieldId, Node, Node)>,
    /// What the caller may not read of the new row.
    pub masks: Vec<(FieldId, Node)>,
    /// Of each relation's column: the target, and who sees it (at level 0).
    pub references: Vec<(FieldId, EntityId, Node)>,
    pub fields: FieldWrites,
    /// Of each owned list: its type's fields.
    pub owned: Vec<(FieldId, OwnedId, OwnedWrite)>,
}

/// A rule for create or update.
#[derive(Debug)]
pub(crate) struct WriteRule {
    /// Judged of the new row.
    pub new: Node,
    /// Judged of the old row.
    pub old: Node,
    pub fields: Option<Vec<FieldId>>,
}

impl WriteRule {
    /// Whether a caller may set this field by it.
    pub fn names(&self, field: FieldId) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.contains(&field))
    }
}

/// What the server does to fields of a row or an element.
#[derive(Debug)]
pub(crate) struct FieldWrites {
    pub patterns: Vec<Option<regex::Regex>>,
    pub sets: Vec<(FieldId, Node)>,
    pub computed: Vec<(FieldId, Computed)>,
}

/// A computed field: folds over owned lists first, then a node in which they are parameters.
#[derive(Debug)]
pub(crate) struct Computed {
    pub folds: Vec<FoldPlan>,
    pub node: Node,
}

/// One fold.
#[derive(Debug)]
pub(crate) struct FoldPlan {
    pub list: FieldId,
    pub filters: Vec<Node>,
    pub map: Option<Node>,
    pub by: FoldBy,
    pub base: Option<Base>,
}

/// An owned type's fields.
#[derive(Debug)]
pub(crate) struct OwnedWrite {
    pub sources: Vec<Source>,
    pub fields: FieldWrites,
    pub references: Vec<(FieldId, EntityId, Node)>,
}

/// Prepares the writes of one operation.
pub(crate) fn prepare_all(
    model: &SharedModel,
    writes: &[Write],
    limits: &Limits,
    writer: Writer,
) -> Result<Vec<Arc<PreparedWrite>>, Error> {
    if writes.len() > limits.commit_events_max {
        return Err(Error::limit("commit_events_max", limits.commit_events_max, "operations"));
    }
    let mut known: HashMap<EntityId, Arc<EntityWrite>> = HashMap::new();
    let mut prepared = Vec::with_capacity(writes.len());
    for (index, write) in writes.iter().enumerate() {
        check(model, write, writer).map_err(|error| if writes.len() > 1 { error.at_operation(index) } else { error })?;
        let rules = match known.get(&write.entity) {
            Some(rules) => rules.clone(),
            None => {
                let rules = Arc::new(entity_write(model, write.entity)?);
                known.insert(write.entity, rules.clone());
                rules
            }
        };
        prepared.push(Arc::new(PreparedWrite { write: write.clone(), rules, limits: limits.clone() }));
    }
    Ok(prepared)
}

/// What can be refused without a row: fields that no client writes.
fn check(model: &Model, write: &Write, writer: Writer) -> Result<(), Error> {
    let entity = model.entity(write.entity);
    if entity.readonly && writer == Writer::Client {
        return Err(Error::new(ErrorCode::PermissionDenied, format!("`{}` is read-only", entity.name)));
    }
    let mut errors = Vec::new();
    for (field, _) in &write.set {
        let definition = entity.field(*field);
        if let Some(detail) = not_writable(definition, *field, write.kind, writer) {
            errors.push(FieldError { pointer: format!("/{}", definition.name), detail });
        }
    }
    match errors.first() {
        None => Ok(()),
        Some(first) => {
            let mut error = Error::invalid(first.detail.clone());
            error.public.errors = errors;
            Err(error)
        }
    }
}

fn not_writable(field: &Field, id: FieldId, kind: WriteKind, writer: Writer) -> Option<String> {
    let name = &field.name;
    if id == KEY {
        return Some("the key stands apart and never changes".to_owned());
    }
    if field.computed.is_some() {
        return Some(format!("`{name}` is computed by the server"));
    }
    if field.set.is_some() {
        return Some(format!("`{name}` is set by the server"));
    }
    if (field.readonly && writer == Writer::Client) || name == "revision" {
        return Some(format!("`{name}` is read-only"));
    }
    (field.once && kind == WriteKind::Update).then(|| format!("`{name}` can be set only when the row is created"))
}

fn entity_write(model: &SharedModel, id: EntityId) -> Result<EntityWrite, Error> {
    let entity = model.entity(id);
    let mut binds = Binds::default();
    let mut compiler = Compiler { model, binds: &mut binds, next: ELEMENT + 1 };
    let read_new = compiler.read_rule(id, NEW)?;
    let read_old = compiler.read_rule(id, OLD)?;
    let create = rules(&mut compiler, id, Verb::Create)?;
    let update = rules(&mut compiler, id, Verb::Update)?;
    let delete = rules(&mut compiler, id, Verb::Delete)?.into_iter().map(|rule| rule.old).collect();
    let mut field_rules = Vec::new();
    let mut masks = Vec::new();
    for (field, definition) in entity.field_ids() {
        if let Some(rule) = &definition.write_rule {
            field_rules.push((field, compiler.node(rule, &on(id, NEW))?, compiler.node(rule, &on(id, OLD))?));
        }
        if let Some(mask) = compiler.mask(id, NEW, field)? {
            masks.push((field, mask));
        }
    }
    let references = references(&mut compiler, &entity.relations)?;
    let fields = field_writes(&mut compiler, &entity.fields, &on(id, NEW))?;
    let mut owned = Vec::new();
    for (field, definition) in entity.field_ids() {
        if let Base::Owned(of) = definition.ty.base {
            owned.push((field, of, owned_write(model, of)?));
        }
    }
    Ok(EntityWrite { sources: binds.sources, read_new, read_old, create, update, delete, field_rules, masks, references, fields, owned })
}

/// The frame in which bare names are the row at `level`, `old` the row before and `new` the row after.
fn on(entity: EntityId, level: Level) -> Frame {
    Frame { rights: Rights::Author, row: (level, Kind::Entity(entity)), old: OLD, new: NEW, variables: Vec::new(), channel: None }
}

fn rules(compiler: &mut Compiler<'_>, id: EntityId, verb: Verb) -> Result<Vec<WriteRule>, Error> {
    let model = compiler.model;
    let mut compiled = Vec::new();
    for rule in model.entity(id).rules_for(verb) {
        let new = compiler.node(&rule.expr, &on(id, NEW))?;
        let old = compiler.node(&rule.expr, &on(id, OLD))?;
        compiled.push(WriteRule { new, old, fields: rule.fields.clone() });
    }
    Ok(compiled)
}

fn references(compiler: &mut Compiler<'_>, relations: &[Relation]) -> Result<Vec<(FieldId, EntityId, Node)>, Error> {
    let mut found = Vec::new();
    for relation in relations {
        if let RelationKind::One { field, .. } = relation.kind {
            found.push((field, relation.target, compiler.read_rule(relation.target, 0)?));
        }
    }
    Ok(found)
}

fn field_writes(compiler: &mut Compiler<'_>, fields: &[Field], frame: &Frame) -> Result<FieldWrites, Error> {
    let (mut patterns, mut sets, mut computed) = (Vec::with_capacity(fields.len()), Vec::new(), Vec::new());
    for (index, field) in fields.iter().enumerate() {
        let id = FieldId(index as u16);
        let whole = field.pattern.as_ref().map(|pattern| regex::Regex::new(&format!("^(?:{pattern})$")));
        patterns.push(whole.transpose().map_err(Error::internal)?);
        if let Some(expr) = &field.set {
            sets.push((id, compiler.node(expr, frame)?));
        }
        if let Some(expr) = &field.computed {
            computed.push((id, compute(compiler, expr, frame)?));
        }
    }
    Ok(FieldWrites { patterns, sets, computed })
}

fn compute(compiler: &mut Compiler<'_>, expr: &Expr, frame: &Frame) -> Result<Computed, Error> {
    let mut folds = Vec::new();
    let without = take_folds(expr.clone(), &mut folds);
    let mut plans = Vec::with_capacity(folds.len());
    for (fold, ty) in folds {
        plans.push(fold_plan(compiler, fold, ty, frame)?);
    }
    // A fold's place is held by a request value of the same number, which no rule has.
    let node = compiler.node(&without, frame)?.map(&mut |part| match part {
        Node::Bind(index, base) => match compiler_source(compiler, index) {
            Some(Source::Request { index, .. }) => Node::Bind(FOLD + index, base),
            _ => Node::Bind(index, base),
        },
        other => other,
    });
    Ok(Computed { folds: plans, node })
}

fn compiler_source(compiler: &Compiler<'_>, index: u16) -> Option<Source> {
    compiler.binds.sources.get(usize::from(index)).cloned()
}

fn take_folds(mut expr: Expr, folds: &mut Vec<(Fold, ExprType)>) -> Expr {
    let ty = expr.ty;
    expr.kind = match expr.kind {
        ExprKind::Fold(fold) => {
            folds.push((fold, ty));
            ExprKind::Value((folds.len() - 1) as u16)
        }
        ExprKind::Negate(a) => ExprKind::Negate(Box::new(take_folds(*a, folds))),
        ExprKind::Not(a) => ExprKind::Not(Box::new(take_folds(*a, folds))),
        ExprKind::IsNull(a) => ExprKind::IsNull(Box::new(take_folds(*a, folds))),
        ExprKind::Rescale(a) => ExprKind::Rescale(Box::new(take_folds(*a, folds))),
        ExprKind::Compare(by, a, b) => ExprKind::Compare(by, Box::new(take_folds(*a, folds)), Box::new(take_folds(*b, folds))),
        ExprKind::Arithmetic(by, a, b) => ExprKind::Arithmetic(by, Box::new(take_folds(*a, folds)), Box::new(take_folds(*b, folds))),
        ExprKind::Conditional(a, b, c) => {
            ExprKind::Conditional(Box::new(take_folds(*a, folds)), Box::new(take_folds(*b, folds)), Box::new(take_folds(*c, folds)))
        }
        ExprKind::And(parts) => ExprKind::And(parts.into_iter().map(|part| take_folds(part, folds)).collect()),
        ExprKind::Or(parts) => ExprKind::Or(parts.into_iter().map(|part| take_folds(part, folds)).collect()),
        ExprKind::Call(function, parts) => ExprKind::Call(function, parts.into_iter().map(|part| take_folds(part, folds)).collect()),
        other => other,
    };
    expr
}

fn fold_plan(compiler: &mut Compiler<'_>, fold: Fold, ty: ExprType, frame: &Frame) -> Result<FoldPlan, Error> {
    let (Kind::Entity(entity), model) = (frame.row.1, compiler.model) else {
        return Err(Error::internal("a fold inside an owned type"));
    };
    let Base::Owned(owned) = model.entity(entity).field(fold.list).ty.base else {
        return Err(Error::internal("a fold over what is not an owned list"));
    };
    let inner = frame.with_variable(ELEMENT, Kind::Owned(owned));
    let filters = fold.filters.iter().map(|filter| compiler.node(filter, &inner)).collect::<Result<_, _>>()?;
    let map = fold.map.as_deref().map(|map| compiler.node(map, &inner)).transpose()?;
    Ok(FoldPlan { list: fold.list, filters, map, by: fold.by, base: ty.base })
}

fn owned_write(model: &SharedModel, id: OwnedId) -> Result<OwnedWrite, Error> {
    let owned = model.owned(id);
    let mut binds = Binds::default();
    let mut compiler = Compiler { model, binds: &mut binds, next: ELEMENT + 1 };
    let frame = Frame { rights: Rights::Author, row: (NEW, Kind::Owned(id)), old: OLD, new: NEW, variables: Vec::new(), channel: None };
    let fields = field_writes(&mut compiler, &owned.fields, &frame)?;
    let references = references(&mut compiler, &owned.relations)?;
    Ok(OwnedWrite { sources: binds.sources, fields, references })
}

impl PreparedWrite {
    /// Whether the write's answer shows the row.
    pub fn answers_row(&self) -> bool {
        matches!(self.write.answer, Answer::Row { .. })
    }
}
