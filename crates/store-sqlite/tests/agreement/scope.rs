//! What an expression can name: the fields of its row and of the rows that variables stand for, over to-one relations.

use fourfold_model::{Base, EntityId, Field, Model, OwnedId, Relation, RelationKind};

use crate::random::Random;

/// What kind of row a name stands for.
#[derive(Clone, Copy)]
pub enum RowKind {
    Entity(EntityId),
    Owned(OwnedId),
}

impl RowKind {
    pub fn fields(self, model: &Model) -> &[Field] {
        match self {
            RowKind::Entity(id) => &model.entity(id).fields,
            RowKind::Owned(id) => &model.owned(id).fields,
        }
    }

    pub fn relations(self, model: &Model) -> &[Relation] {
        match self {
            RowKind::Entity(id) => &model.entity(id).relations,
            RowKind::Owned(id) => &model.owned(id).relations,
        }
    }
}

/// A row that an expression can name.
#[derive(Clone)]
pub struct Place {
    /// What stands before a field's name: nothing, `x.` or `owner.parent.`
    pub prefix: String,
    /// What kind of row it is.
    pub kind: RowKind,
    /// How it is reached from the expression's own row: `*` goes into each element of a list.
    pub steps: Vec<String>,
}

impl Place {
    /// One to-one relation further.
    fn over(&self, relation: &Relation) -> Place {
        let mut steps = self.steps.clone();
        steps.push(relation.name.to_string());
        Place { prefix: format!("{}{}.", self.prefix, relation.name), kind: RowKind::Entity(relation.target), steps }
    }

    /// The to-one relations from here.
    pub fn to_one<'m>(&self, model: &'m Model) -> Vec<&'m Relation> {
        self.kind.relations(model).iter().filter(|one| matches!(one.kind, RelationKind::One { .. })).collect()
    }

    /// The steps to a member.
    pub fn steps_to(&self, name: &str) -> Vec<String> {
        let mut steps = self.steps.clone();
        steps.push(name.to_owned());
        steps
    }

    /// An element of a list here, under the name of a variable.
    pub fn element(&self, list: &str, kind: RowKind, variable: &str) -> Place {
        let mut steps = self.steps_to(list);
        steps.push("*".to_owned());
        Place { prefix: format!("{variable}."), kind, steps }
    }

    /// This row, or one over a few to-one relations.
    pub fn wander(&self, model: &Model, steps_max: usize, random: &mut Random) -> Place {
        let mut place = self.clone();
        while place.steps.len() < steps_max && random.chance(25) {
            let to_one = place.to_one(model);
            if to_one.is_empty() {
                break;
            }
            place = place.over(to_one[random.below(to_one.len())]);
        }
        place
    }

    /// A field here of which `wanted` holds.
    pub fn field<'m>(&self, model: &'m Model, wanted: &dyn Fn(&Field) -> bool, random: &mut Random) -> Option<&'m Field> {
        let fields: Vec<&Field> = self.kind.fields(model).iter().filter(|field| wanted(field)).collect();
        (!fields.is_empty()).then(|| *random.pick(&fields))
    }

    /// A to-many relation or an owned list here, without a mask where it must be `open`: its name, and what its elements are.
    pub fn collection(&self, model: &Model, open: bool, random: &mut Random) -> Option<(String, RowKind)> {
        let many = self.kind.relations(model).iter().filter(|one| matches!(one.kind, RelationKind::Many { .. }));
        let mut found: Vec<(String, RowKind)> = many.map(|one| (one.name.to_string(), RowKind::Entity(one.target))).collect();
        let fields = self.kind.fields(model).iter().filter(|field| !open || field.read_rule.is_none());
        found.extend(fields.filter_map(|field| match field.ty.base {
            Base::Owned(id) => Some((field.name.to_string(), RowKind::Owned(id))),
            _ => None,
        }));
        (!found.is_empty()).then(|| random.pick(&found).clone())
    }
}
