//! The `cel` crate as a second opinion on the part of the language that CEL gives the same meaning to.
//!
//! The shared part:
//! - Types: String, Boolean, Int and BigInt (CEL's `int`), Float (`double`), an enum as its name, lists of these. Not Decimal, Uuid, Date,
//!   DateTime and durations, which CEL lacks or writes otherwise.
//! - `== != < <= > >=` (an enum only `==` and `!=`), `in`, `! && || ?:`, `+ - * / %` of whole numbers, `+ - *` and the sign of Floats,
//!   `size contains startsWith endsWith` as methods and `size(x)`; not `lower`, which CEL lacks. A Float's literal has a point.
//! - Paths over to-one relations, `exists` and `all` over to-many relations and owned lists: maps and lists of maps in CEL.
//! - Rows in which everything that is taken a value from is there. CEL knows null only as a value of its own: `null != 1` is true to it and
//!   unknown to us. A field that is only tested (`x == null`) may be null.
//! - Rows whose Floats are below 1e30 where they are calculated with: beyond the greatest double CEL has infinity and we have null.
//! - What CEL answers with true or false. Its error (a whole number that does not fit, a division by zero) is our unknown, and `&&` and `||`
//!   treat both alike; but our `exists`, `all`, `in`, `?:` and `== null` make an unknown operand known, and CEL's do not.

use std::collections::HashMap;

use cel::objects::Key;
use cel::{Context, Program, Value as Cel};
use fourfold_model::{Base, EntityId, Field, FieldId, KEY, Model, Relation, RelationKind, Row, Value};
use fourfold_plan::{Scan, Truth};

use crate::generate::{Use, plain};
use crate::rows::Rows;
use crate::scope::RowKind;
use crate::world::{PERSON, THING};

/// How many relations and lists lie one inside the other in CEL's view of a row.
const DEPTH: usize = 3;
/// Floats below this can be multiplied often.
const CALCULABLE: f64 = 1e30;

/// CEL's view of every thing.
pub struct Oracle {
    views: Vec<HashMap<Key, Cel>>,
    contexts: Vec<Context<'static, 'static>>,
}

/// What CEL says of an expression and a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Truth or falsehood.
    Is(bool),
    /// An error, where that must be our unknown.
    Unknown,
    /// Nothing that can be compared.
    Nothing,
}

impl Verdict {
    /// Whether the same was said.
    pub fn agrees(self, truth: Truth) -> bool {
        match self {
            Verdict::Is(value) => truth == if value { Truth::True } else { Truth::False },
            Verdict::Unknown => truth == Truth::Unknown,
            Verdict::Nothing => true,
        }
    }
}

impl Oracle {
    pub fn new(model: &Model, rows: &Rows) -> Oracle {
        let viewer = Viewer { model, rows };
        let views: Vec<HashMap<Key, Cel>> = rows.of(THING).iter().map(|row| viewer.view(RowKind::Entity(THING), row, DEPTH)).collect();
        let contexts = views.iter().map(context).collect();
        Oracle { views, contexts }
    }

    /// What CEL says of every thing; `None` where the crate's parser fails, as it does for some conditionals inside others.
    pub fn verdicts(&self, text: &str, uses: &[Use], tolerant: bool) -> Option<Vec<Verdict>> {
        let program = match Program::compile(text) {
            Ok(program) => program,
            Err(_) if text.contains('?') => return None,
            Err(error) => panic!("CEL cannot read `{text}`: {error}"),
        };
        let judged = self.views.iter().zip(&self.contexts).map(|(view, context)| {
            if !uses.iter().all(|one| is_there(view, one)) {
                return Verdict::Nothing;
            }
            match program.execute(context) {
                Ok(Cel::Bool(value)) => Verdict::Is(value),
                Ok(other) => panic!("CEL finds `{text}` to be {other:?}"),
                Err(_) if tolerant => Verdict::Nothing,
                Err(_) => Verdict::Unknown,
            }
        });
        Some(judged.collect())
    }
}

fn context(view: &HashMap<Key, Cel>) -> Context<'static, 'static> {
    let mut context = Context::default();
    for (name, value) in view {
        context.add_variable_from_value(name.to_string(), value.clone());
    }
    context
}

/// Whether there is no null on the way, and at its end nothing that overflows.
fn is_there(view: &HashMap<Key, Cel>, one: &Use) -> bool {
    let Some((first, rest)) = one.steps.split_first() else { return true };
    view.get(&Key::from(first.as_str())).is_some_and(|value| reaches(value, rest, one.calculated))
}

fn reaches(value: &Cel, steps: &[String], calculated: bool) -> bool {
    match (value, steps.split_first()) {
        (Cel::Null, _) => false,
        (Cel::Float(number), None) => !calculated || number.abs() < CALCULABLE,
        (_, None) => true,
        (Cel::List(items), Some((_, rest))) => items.iter().all(|item| reaches(item, rest, calculated)),
        (Cel::Map(map), Some((name, rest))) => {
            let found = map.map.get(&Key::from(name.as_str()));
            found.is_some_and(|value| reaches(value, rest, calculated))
        }
        _ => false,
    }
}

struct Viewer<'a> {
    model: &'a Model,
    rows: &'a Rows,
}

impl Viewer<'_> {
    /// A row as CEL sees it, with `depth` relations and lists one inside the other.
    fn view(&self, kind: RowKind, row: &Row, depth: usize) -> HashMap<Key, Cel> {
        let mut view = HashMap::new();
        for (slot, field) in kind.fields(self.model).iter().enumerate() {
            if let Some(value) = self.value(field, row.value(FieldId(slot as u16)), depth) {
                view.insert(Key::from(field.name.as_str()), value);
            }
        }
        if depth > 0 {
            for relation in kind.relations(self.model) {
                view.insert(Key::from(relation.name.as_str()), self.related(relation, row, depth - 1));
            }
        }
        view
    }

    fn value(&self, field: &Field, value: &Value, depth: usize) -> Option<Cel> {
        match (field.ty.base, value) {
            (Base::Owned(id), Value::Owned(elements)) if depth > 0 => {
                let elements = elements.iter().map(|element| Cel::from(self.view(RowKind::Owned(id), element, depth - 1)));
                Some(Cel::from(elements.collect::<Vec<Cel>>()))
            }
            (base, Value::List(items)) if plain(field) => {
                Some(Cel::from(items.iter().map(|item| self.scalar(base, item)).collect::<Vec<Cel>>()))
            }
            (base, value) if plain(field) => Some(self.scalar(base, value)),
            _ => None,
        }
    }

    fn scalar(&self, base: Base, value: &Value) -> Cel {
        match (base, value) {
            (_, Value::Boolean(value)) => Cel::Bool(*value),
            (_, Value::Int(number)) => Cel::Int(*number),
            (_, Value::Float(number)) => Cel::Float(*number),
            (_, Value::Text(text)) => Cel::from(text.as_str()),
            (Base::Enum(id), Value::Enum(number)) => {
                Cel::from(self.model.enumeration(id).by_number(*number).expect("a value of the enum").name.as_str())
            }
            _ => Cel::Null,
        }
    }

    fn related(&self, relation: &Relation, row: &Row, depth: usize) -> Cel {
        let kind = RowKind::Entity(relation.target);
        match relation.kind {
            RelationKind::One { field, .. } => match self.visible(relation.target, row.value(field)) {
                Some(found) => Cel::from(self.view(kind, &found, depth)),
                None => Cel::Null,
            },
            RelationKind::Many { field, .. } => {
                let rows = self.rows.of(relation.target).iter().filter(|other| other.value(field) == row.value(KEY));
                Cel::from(rows.map(|other| Cel::from(self.view(kind, other, depth))).collect::<Vec<Cel>>())
            }
        }
    }

    /// The row with a key, unless the read rule of people hides it.
    fn visible(&self, entity: EntityId, key: &Value) -> Option<Row> {
        let row = self.rows.by_key(entity, key)?;
        let rank = row.value(FieldId(3));
        (entity != PERSON || matches!(rank, Value::Int(rank) if *rank >= 0)).then_some(row)
    }
}
