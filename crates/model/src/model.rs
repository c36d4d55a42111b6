//! The resolved model: what the text means, with every name an id and every lock number known.
//!
//! Ids are indexes into the model's lists and mean nothing beyond one loaded model; numbers come from `fourfold.lock`
//! and mean the same thing for ever. Events and protobuf use numbers.

use std::collections::HashMap;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::expr::Expr;
pub use crate::ids::*;
pub use crate::types::*;
use crate::value::Value;

/// A whole model, resolved and checked.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// `package shop.v1`.
    pub package: Package,
    /// Documentation at the head of the file.
    pub doc: Option<String>,
    /// The `caller` block's fields.
    pub claims: Vec<Claim>,
    /// The enums, in the file's order.
    pub enums: Vec<EnumType>,
    /// The entities, in the file's order.
    pub entities: Vec<Entity>,
    /// The owned types, in the file's order.
    pub owned: Vec<OwnedType>,
    /// The actions, in the file's order.
    pub actions: Vec<Action>,
    /// The channels, in the file's order.
    pub channels: Vec<Channel>,
    /// The `test` blocks, in the file's order.
    pub tests: Vec<TestBlock>,
    /// A hash of the model's meaning and its lock; equal models have equal fingerprints.
    pub fingerprint: u64,
}

/// The package: `shop.v1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// All parts joined by dots: `shop.v1`.
    pub name: SmolStr,
    /// All but the last: `shop`.
    pub base: SmolStr,
    /// The last part: `v1`.
    pub version: SmolStr,
}

/// A field of the `caller` block.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its name in expressions: `roles` in `caller.roles`.
    pub name: SmolStr,
    /// Its type. A claim that is not nullable must be in the token (a list may be absent: it is then empty).
    pub ty: Type,
    /// Where it stands in the token: member names joined by dots, as `@claim` says, else the name.
    pub path: SmolStr,
    /// Documentation.
    pub doc: Option<String>,
}

/// An owned type: a value inside its parent.
#[derive(Clone, Debug)]
pub struct OwnedType {
    /// `OrderLine`.
    pub name: SmolStr,
    /// Documentation.
    pub doc: Option<String>,
    /// Its number in the lock (shared with entities).
    pub number: u32,
    /// Its table in a store.
    pub table: SmolStr,
    /// Its fields; there is no key and no revision among them.
    pub fields: Vec<Field>,
    /// Its to-one relations.
    pub relations: Vec<Relation>,
}

/// An entity.
#[derive(Clone, Debug)]
pub struct Entity {
    /// `InvoiceLine`.
    pub name: SmolStr,
    /// `invoice_line`: the name in snake case.
    pub snake: SmolStr,
    /// `invoice_lines`: REST path, WebSocket channel; from the lock.
    pub plural: SmolStr,
    /// Its table in a store.
    pub table: SmolStr,
    /// Its number in the lock; the log knows it by this.
    pub number: u32,
    /// Documentation.
    pub doc: Option<String>,
    /// The stored fields: `id`, `revision`, then the file's order. A to-one relation stands here as its `…_id` column.
    pub fields: Vec<Field>,
    /// The relations, in the file's order.
    pub relations: Vec<Relation>,
    /// Members in the file's order, for documents that show both fields and relations.
    pub members: Vec<Member>,
    /// `@@allow`.
    pub rules: Vec<Rule>,
    /// `@@index`.
    pub indexes: Vec<Index>,
    /// `@@unique`; a single `@unique` field is here too.
    pub uniques: Vec<Vec<FieldId>>,
    /// `@@cache`.
    pub cache: Option<Cache>,
    /// `@@require_revision`.
    pub require_revision: bool,
    /// `@@internal`: in no contract.
    pub internal: bool,
    /// `@@readonly`.
    pub readonly: bool,
    /// `@@capture`: others write its rows too, and that becomes events.
    pub captured: bool,
    /// `@@retain(age, by: field)`: seconds and the field.
    pub retain: Option<(u64, FieldId)>,
    /// Whether it can be watched (`@@watch(false)` turns it off).
    pub watch: bool,
    /// `@@expose`.
    pub expose: Expose,
    /// `@@before(create, update, handler: "name")`.
    pub before: Vec<(Vec<Verb>, SmolStr)>,
    /// The class of its read rule.
    pub class: RuleClass,
    /// Proto numbers of fields that were removed.
    pub reserved: Vec<u32>,
    /// Names to fields (`buyer_id`) for `parse` alone.
    pub field_names: HashMap<SmolStr, FieldId>,
    /// Names to relations (`buyer`, `orders`) for `parse` alone.
    pub relation_names: HashMap<SmolStr, RelationId>,
}

/// A member of an entity, as the file orders them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// A stored field.
    Field(FieldId),
    /// A relation; a to-one relation's column is the field before it.
    Relation(RelationId),
}

/// A stored field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name on every face (snake case): `buyer_id`.
    pub name: SmolStr,
    /// Its protobuf field number.
    pub number: u32,
    /// Its column in a store.
    pub column: SmolStr,
    /// Its type. For a relation's column: the type of the target's key.
    pub ty: Type,
    /// Documentation.
    pub doc: Option<String>,
    /// `@default`.
    pub default: Option<Default>,
    /// `@unique`.
    pub unique: bool,
    /// `@min`, of the field's type.
    pub min: Option<Value>,
    /// `@max`, of the field's type.
    pub max: Option<Value>,
    /// `@length(a..b)`: code points of a String, bytes of Bytes, elements of a list.
    pub length: (Option<u32>, Option<u32>),
    /// `@match`: a regular expression that must match the whole text.
    pub pattern: Option<SmolStr>,
    /// `@search`.
    pub search: bool,
    /// `@fold`.
    pub fold: bool,
    /// `@computed`: by the server, from the row itself.
    pub computed: Option<Expr>,
    /// `@set`: by the server, when the row is written.
    pub set: Option<Expr>,
    /// `@readonly`: written by actions and sources alone.
    pub readonly: bool,
    /// `@once`: only at create.
    pub once: bool,
    /// `@secret`: never read back.
    pub secret: bool,
    /// The to-one relation whose column this is.
    pub relation: Option<RelationId>,
    /// `@allow(read, …)`: else it is null for the caller.
    pub read_rule: Option<Expr>,
    /// `@allow(write, …)`.
    pub write_rule: Option<Expr>,
    /// `@deprecated`.
    pub deprecated: Option<SmolStr>,
}

impl Field {
    /// Whether a client may ever name this field in a write (rules aside).
    pub fn writable(&self) -> bool {
        self.computed.is_none() && self.set.is_none() && !self.readonly && self.name != "revision"
    }
    /// Whether a reader may find null here: nullable, or behind a read rule.
    pub fn nullable_out(&self) -> bool {
        self.ty.nullable || self.read_rule.is_some()
    }
}

/// `@default`.
#[derive(Clone, Debug, PartialEq)]
pub enum Default {
    /// A literal of the field's type.
    Literal(Value),
    /// `uuid7()`.
    Uuid7,
    /// `next()`: a counter in the store.
    Next,
    /// `now()`.
    Now,
    /// `caller.x`.
    Claim(ClaimId),
}

/// A relation to another entity.
#[derive(Clone, Debug)]
pub struct Relation {
    /// `buyer`, `orders`.
    pub name: SmolStr,
    /// Its protobuf field number.
    pub number: u32,
    /// Documentation.
    pub doc: Option<String>,
    /// The entity it leads to.
    pub target: EntityId,
    /// To-one or to-many.
    pub kind: RelationKind,
}

/// To-one or to-many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// A column here holds the target's key.
    One {
        /// The column.
        field: FieldId,
        /// What happens here when the target is deleted.
        on_delete: OnDelete,
    },
    /// A view of the target's rows whose to-one relation leads here.
    Many {
        /// The target's relation.
        inverse: RelationId,
        /// The target's column.
        field: FieldId,
    },
}

/// `delete:` of `@relation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// The target cannot be deleted while it is referenced.
    Restrict,
    /// Rows that reference it are deleted with it.
    Cascade,
    /// Their column becomes null.
    Null,
}

/// A verb of `@@allow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Verb {
    Read,
    Create,
    Update,
    Delete,
}

/// One `@@allow`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// For which verbs.
    pub verbs: Vec<Verb>,
    /// When.
    pub expr: Expr,
    /// What the caller may set; `None`: every writable field.
    pub fields: Option<Vec<FieldId>>,
    /// The rule's text, to say why something was refused.
    pub text: SmolStr,
    /// Its line in the file, from 1.
    pub line: u32,
}

/// How an entity's read rule can be judged when watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleClass {
    /// From the row and the caller alone.
    Local,
    /// By one `exists` over a relation that pins the caller.
    Membership,
    /// Anything else: readable, not watchable.
    General,
}

/// `@@index`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Columns, each with whether it descends.
    pub fields: Vec<(FieldId, bool)>,
}

/// `@@cache`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// `public`, else `private`.
    pub public: bool,
    /// Seconds.
    pub max_age: u32,
    /// `stale:` seconds (stale-while-revalidate).
    pub stale: Option<u32>,
}

/// `@@expose`: which faces show the entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Expose {
    pub rest: bool,
    pub graphql: bool,
    pub grpc: bool,
    pub websocket: bool,
}

/// An action, parsed and checked; served by a later version.
#[derive(Clone, Debug)]
pub struct Action {
    /// `checkout`.
    pub name: SmolStr,
    /// Documentation.
    pub doc: Option<String>,
    /// Parameters.
    pub params: Vec<Param>,
    /// What it returns.
    pub result: Option<ParamType>,
    /// `@allow`.
    pub allow: Option<Expr>,
    /// `@handler`.
    pub handler: Option<SmolStr>,
    /// `@timeout`, milliseconds.
    pub timeout_ms: Option<u64>,
    /// `@idempotent`.
    pub idempotent: bool,
}

/// A parameter of an action or channel.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: SmolStr,
    /// Its type.
    pub ty: ParamType,
}

/// The type of a parameter or a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamType {
    /// A scalar, enum or owned type.
    Value(Type),
    /// An entity, by its key; with whether it may be null and whether it is a list.
    Entity {
        /// Which.
        entity: EntityId,
        /// `?`.
        nullable: bool,
        /// `[]`.
        list: bool,
    },
}

/// A channel, parsed and checked; served by a later version.
#[derive(Clone, Debug)]
pub struct Channel {
    /// `chat`.
    pub name: SmolStr,
    /// Documentation.
    pub doc: Option<String>,
    /// Its parameter.
    pub param: Param,
    /// `@join`: who may take part; without it nobody may. Of class L or M, so that a right that is taken away ends what it gave.
    pub join: Option<Expr>,
    /// `@publish`: who may publish, beside the rules of the stream's entity. Without it nobody publishes where there is no stream.
    pub publish: Option<Expr>,
    /// `@history(limit, age)`: count, seconds.
    pub history: Option<(u32, u64)>,
    /// `stream Message where …`.
    pub stream: Option<(EntityId, Expr)>,
    /// `presence { … }`.
    pub presence: Vec<Field>,
    /// `signal typing`.
    pub signals: Vec<SmolStr>,
}

/// A `test` block, parsed and checked; run by a later version.
#[derive(Clone, Debug)]
pub struct TestBlock {
    /// Its title.
    pub title: String,
    /// Its line in the file, from 1.
    pub line: u32,
}

impl Model {
    /// An entity. An id of this model always has one.
    pub fn entity(&self, id: EntityId) -> &Entity {
        &self.entities[usize::from(id.0)]
    }
    /// An owned type.
    pub fn owned(&self, id: OwnedId) -> &OwnedType {
        &self.owned[usize::from(id.0)]
    }
    /// An enum.
    pub fn enumeration(&self, id: EnumId) -> &EnumType {
        &self.enums[usize::from(id.0)]
    }
    /// Every entity with its id.
    pub fn entity_ids(&self) -> impl Iterator<Item = (EntityId, &Entity)> {
        self.entities.iter().enumerate().map(|(index, entity)| (EntityId(index as u16), entity))
    }
    /// The entity called `InvoiceLine`.
    pub fn entity_by_name(&self, name: &str) -> Option<EntityId> {
        self.entity_ids().find(|(_, entity)| entity.name == name).map(|(id, _)| id)
    }
    /// The entity whose plural is `invoice_lines`.
    pub fn entity_by_plural(&self, plural: &str) -> Option<EntityId> {
        self.entity_ids().find(|(_, entity)| entity.plural == plural).map(|(id, _)| id)
    }
    /// The entity with this lock number.
    pub fn entity_by_number(&self, number: u32) -> Option<EntityId> {
        self.entity_ids().find(|(_, entity)| entity.number == number).map(|(id, _)| id)
    }
    /// A channel. An id of this model always has one.
    pub fn channel(&self, id: ChannelId) -> &Channel {
        &self.channels[usize::from(id.0)]
    }
    /// The channel called `chat`.
    pub fn channel_by_name(&self, name: &str) -> Option<ChannelId> {
        self.channels.iter().position(|channel| channel.name == name).map(|index| ChannelId(index as u16))
    }
    /// The claim called `roles`.
    pub fn claim_by_name(&self, name: &str) -> Option<ClaimId> {
        self.claims.iter().position(|claim| claim.name == name).map(|index| ClaimId(index as u16))
    }
    /// Every to-one relation that leads to `target`: the entity it stands in, its column, and what a delete does.
    pub fn references(&self, target: EntityId) -> impl Iterator<Item = (EntityId, FieldId, OnDelete)> {
        self.entity_ids().flat_map(move |(id, entity)| {
            entity.relations.iter().filter_map(move |relation| match relation.kind {
                RelationKind::One { field, on_delete } if relation.target == target => Some((id, field, on_delete)),
                _ => None,
            })
        })
    }
}

impl Channel {
    /// The entity of whose rows there is a channel each; `None` where its parameter is a scalar.
    pub fn param_entity(&self) -> Option<EntityId> {
        match self.param.ty {
            ParamType::Entity { entity, .. } => Some(entity),
            ParamType::Value(_) => None,
        }
    }
    /// The type of what names one of these channels: the entity's key, or the scalar itself.
    pub fn param_base(&self, model: &Model) -> Base {
        match self.param.ty {
            ParamType::Entity { entity, .. } => model.entity(entity).key_type(),
            ParamType::Value(ty) => ty.base,
        }
    }
}

impl Entity {
    /// A field. An id of this entity always has one.
    pub fn field(&self, id: FieldId) -> &Field {
        &self.fields[usize::from(id.0)]
    }
    /// A relation. An id of this entity always has one.
    pub fn relation(&self, id: RelationId) -> &Relation {
        &self.relations[usize::from(id.0)]
    }
    /// Every field with its id.
    pub fn field_ids(&self) -> impl Iterator<Item = (FieldId, &Field)> {
        self.fields.iter().enumerate().map(|(index, field)| (FieldId(index as u16), field))
    }
    /// The rules that are for this verb.
    pub fn rules_for(&self, verb: Verb) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.verbs.contains(&verb))
    }
    /// Whether every caller may read every row.
    pub fn is_open(&self) -> bool {
        self.rules_for(Verb::Read).any(|rule| rule.expr == Expr::truth())
    }
    /// Whether it can be watched; else a watch is refused, naming why.
    pub fn is_watchable(&self) -> bool {
        self.watch && self.class != RuleClass::General
    }
    /// The field of this name.
    pub fn field_by_name(&self, name: &str) -> Option<FieldId> {
        self.field_names.get(name).copied()
    }
    /// The relation of this name.
    pub fn relation_by_name(&self, name: &str) -> Option<RelationId> {
        self.relation_names.get(name).copied()
    }
    /// The key's type.
    pub fn key_type(&self) -> Base {
        self.fields[0].ty.base
    }
}

/// A model that many share.
pub type SharedModel = Arc<Model>;
