//! Random rows of the model, many of their fields null, and the same rows in a store.

use std::collections::HashMap;

use fourfold_model::{Base, EntityId, Field, FieldId, KEY, Model, RelationKind, Row, SharedModel, Value};
use fourfold_op::{Answer, Operand, Operation, Write, WriteKind};
use fourfold_plan::{Plan, Scan, prepare};
use fourfold_store::Maintain;
use tokio::runtime::Runtime;

use crate::literals;
use crate::random::Random;
use crate::world::{PART, PERSON, THING};

/// Rows of every entity, as they were made: no store had them.
pub struct Rows {
    /// By entity.
    pub tables: Vec<Vec<Row>>,
    /// By entity: a key's place.
    places: Vec<HashMap<Value, usize>>,
}

impl Scan for Rows {
    fn by_key(&self, entity: EntityId, key: &Value) -> Option<Row> {
        let entity = usize::from(entity.0);
        self.places[entity].get(key).map(|place| self.tables[entity][*place].clone())
    }

    fn rows(&self, entity: EntityId) -> Vec<Row> {
        self.tables[usize::from(entity.0)].clone()
    }
}

impl Rows {
    /// 20 people, then so many things, then 80 parts: whoever is named is there already.
    pub fn random(model: &Model, things: usize, random: &mut Random) -> Rows {
        let mut rows = Rows { tables: vec![Vec::new(); 3], places: vec![HashMap::new(); 3] };
        for (entity, count) in [(PERSON, 20), (THING, things), (PART, 80)] {
            for number in 0..count {
                let key = key(entity, number);
                let mut row = Row::nulls(model.entity(entity).fields.len());
                for (id, field) in model.entity(entity).field_ids() {
                    row.set(id, rows.value(model, field, relation_target(model, entity, field), random));
                }
                row.set(KEY, key.clone());
                row.set(FieldId(1), Value::Int(1));
                rows.tables[usize::from(entity.0)].push(row);
                rows.places[usize::from(entity.0)].insert(key, number);
            }
        }
        rows
    }

    /// The rows of an entity.
    pub fn of(&self, entity: EntityId) -> &[Row] {
        &self.tables[usize::from(entity.0)]
    }

    fn value(&self, model: &Model, field: &Field, target: Option<EntityId>, random: &mut Random) -> Value {
        if let Base::Owned(id) = field.ty.base {
            let count = random.below(4);
            return Value::Owned((0..count).map(|_| self.element(model, id, random)).collect());
        }
        if field.ty.list {
            let count = random.below(4);
            return Value::List((0..count).map(|_| scalar(model, field.ty.base, random)).collect());
        }
        if field.ty.nullable && random.chance(22) {
            return Value::Null;
        }
        match target {
            Some(target) => {
                let among = self.of(target);
                if among.is_empty() { Value::Null } else { random.pick(among).value(KEY).clone() }
            }
            None => scalar(model, field.ty.base, random),
        }
    }

    fn element(&self, model: &Model, id: fourfold_model::OwnedId, random: &mut Random) -> Row {
        let owned = model.owned(id);
        let target = |field: &Field| field.relation.map(|relation| owned.relations[usize::from(relation.0)].target);
        Row(owned.fields.iter().map(|field| self.value(model, field, target(field), random)).collect())
    }

    /// Creates every row in a store that has none.
    pub fn write_to(&self, store: &dyn Maintain, model: &SharedModel, runtime: &Runtime) {
        for entity in [PERSON, THING, PART] {
            for rows in self.of(entity).chunks(40) {
                let (mut writes, mut values) = (Vec::new(), Vec::new());
                for row in rows {
                    writes.push(create(model, entity, row, &mut values));
                }
                let prepared = prepare(model, 1, &Operation::Write(writes), &Default::default()).expect("writes");
                let Plan::Write(plan) = prepared.bind(&crate::caller(Value::Boolean(true)), &values).expect("bound writes") else {
                    panic!("no write")
                };
                runtime.block_on(async { store.commit(plan, Vec::new()).await }).expect("committed");
            }
        }
    }
}

fn create(model: &Model, entity: EntityId, row: &Row, values: &mut Vec<Value>) -> Write {
    let mut operand = |value: &Value| {
        values.push(value.clone());
        Operand(values.len() as u16 - 1)
    };
    let key = Some(operand(row.value(KEY)));
    let given = model.entity(entity).field_ids().skip(2).filter(|(id, _)| !row.value(*id).is_null());
    let set = given.map(|(id, _)| (id, operand(row.value(id)))).collect();
    Write { entity, kind: WriteKind::Create, key, set, if_revision: None, answer: Answer::Key }
}

fn relation_target(model: &Model, entity: EntityId, field: &Field) -> Option<EntityId> {
    let relation = model.entity(entity).relation(field.relation?);
    matches!(relation.kind, RelationKind::One { .. }).then_some(relation.target)
}

fn key(entity: EntityId, number: usize) -> Value {
    match entity {
        THING => Value::Uuid(((number as u128) << 64 | 0x018f_2e8a).to_be_bytes()),
        PERSON => Value::text(format!("é{number}")),
        _ => Value::Int(i64::MIN + number as i64),
    }
}

/// A value of the type: mostly one that literals have too, sometimes any.
fn scalar(model: &Model, base: Base, random: &mut Random) -> Value {
    if random.chance(85) {
        return literals::value_of(model, base, &literals::text_of(base, random));
    }
    match base {
        Base::Int => Value::Int(i64::from(random.bits() as i32)),
        Base::BigInt => Value::Int(random.bits() as i64),
        Base::Float => Value::Float(any_float(random)),
        Base::Decimal { precision: 18, scale } => {
            Value::Decimal(fourfold_model::Decimal { unscaled: random.bits() as i64 % 1_000_000_000_000_000_000, scale })
        }
        Base::Date => Value::Date(random.below(100_000) as i32 - 50_000),
        Base::DateTime => Value::DateTime(random.bits() as i64 % 60_000_000_000_000_000),
        _ => literals::value_of(model, base, &literals::text_of(base, random)),
    }
}

fn any_float(random: &mut Random) -> f64 {
    const EDGES: [f64; 8] = [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -0.0, 1e300, 1e22, 0.1 + 0.2];
    let any = f64::from_bits(random.bits());
    if any.is_finite() && random.chance(60) { any } else { *random.pick(&EDGES) }
}
