//! Names to ids: every name that a document can hold, looked up once when it is compiled.

use std::collections::{HashMap, HashSet};

use fourfold_model::names::camel;
use fourfold_model::{EntityId, FieldId, Member, Model, OwnedId};

use crate::shown;

/// The names of one model's schema.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// The fields of `Query`.
    pub queries: HashMap<String, Query>,
    /// The fields of `Mutation`.
    pub mutations: HashMap<String, Mutation>,
    /// The fields of `Subscription`.
    pub changes: HashMap<String, EntityId>,
    /// Input types that are one value of a field (`OrderLineInput`), not part of an operation's shape.
    pub value_inputs: HashSet<String>,
    entities: Vec<HashMap<String, Member>>,
    owned: Vec<HashMap<String, FieldId>>,
}

/// What a field of `Query` reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Query {
    /// `product(id:)`
    One(EntityId),
    /// `products(…)`
    Many(EntityId),
    /// `productsAggregate(…)`
    Aggregate(EntityId),
    /// `package`, where there is no entity.
    Package,
}

/// What a field of `Mutation` writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mutation {
    pub entity: EntityId,
    pub verb: MutationVerb,
}

/// The verbs of mutations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MutationVerb {
    Create,
    Update,
    Upsert,
    Delete,
}

impl Catalog {
    /// The names of a model.
    pub fn new(model: &Model) -> Catalog {
        let mut catalog = Catalog::default();
        catalog.queries.insert("package".to_owned(), Query::Package);
        for (id, entity) in shown::entities(model) {
            if entity.watch {
                catalog.changes.insert(shown::changes(entity), id);
            }
            let many = shown::many(entity);
            catalog.queries.insert(format!("{many}Aggregate"), Query::Aggregate(id));
            catalog.queries.insert(many, Query::Many(id));
            catalog.queries.insert(shown::one(entity), Query::One(id));
            for (name, verb) in VERBS {
                catalog.mutations.insert(format!("{name}{}", entity.name), Mutation { entity: id, verb });
            }
        }
        catalog.entities = model.entities.iter().map(entity_names).collect();
        for owned in &model.owned {
            catalog.value_inputs.insert(format!("{}Input", owned.name));
            let fields = owned.fields.iter().enumerate();
            catalog.owned.push(fields.map(|(index, field)| (camel(&field.name), FieldId(index as u16))).collect());
        }
        catalog
    }

    /// The member of an entity called `buyerId` or `buyer`.
    pub fn member(&self, entity: EntityId, name: &str) -> Option<Member> {
        self.entities.get(usize::from(entity.0))?.get(name).copied()
    }

    /// The field of an entity called `buyerId`.
    pub fn field(&self, entity: EntityId, name: &str) -> Option<FieldId> {
        match self.member(entity, name)? {
            Member::Field(field) => Some(field),
            Member::Relation(_) => None,
        }
    }

    /// The field of an owned type called `productId`.
    pub fn owned_field(&self, owned: OwnedId, name: &str) -> Option<FieldId> {
        self.owned.get(usize::from(owned.0))?.get(name).copied()
    }
}

const VERBS: [(&str, MutationVerb); 4] = [
    ("create", MutationVerb::Create),
    ("update", MutationVerb::Update),
    ("upsert", MutationVerb::Upsert),
    ("delete", MutationVerb::Delete),
];

fn entity_names(entity: &fourfold_model::Entity) -> HashMap<String, Member> {
    let fields = entity.field_ids().map(|(id, field)| (camel(&field.name), Member::Field(id)));
    let relations = entity.relations.iter().enumerate();
    let relations = relations.map(|(index, relation)| (camel(&relation.name), Member::Relation(fourfold_model::RelationId(index as u16))));
    fields.chain(relations).collect()
}
