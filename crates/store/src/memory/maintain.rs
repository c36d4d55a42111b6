//! Migration: the rows of one model become the rows of the next, slot by slot, by lock number.

use fourfold_model::{Default as FieldDefault, Entity, EntityId, Field, Model, Row, SharedModel, Value};
use fourfold_op::{Error, ErrorCode};

use super::MemoryStore;
use super::prune::{prune, redact};
use super::state::State;
use crate::store::{Later, Maintain, Migration, MigrationStep, Pruned, Redacted, Retention, StoreError};

impl Maintain for MemoryStore {
    fn migration<'a>(&'a self, model: &'a SharedModel) -> Later<'a, Result<Migration, StoreError>> {
        Box::pin(async move {
            let state = self.shared.state.read();
            state.open().map_err(StoreError::Refused)?;
            Ok(Migration { steps: steps(state.model.as_deref(), model) })
        })
    }

    fn migrate<'a>(&'a self, model: &'a SharedModel, _migration: Migration) -> Later<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut state = self.shared.state.write();
            state.open().map_err(StoreError::Refused)?;
            migrate(&mut state, model).map_err(StoreError::Refused)
        })
    }

    fn count<'a>(&'a self, model: &'a SharedModel, entity: EntityId) -> Later<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let state = self.shared.state.read();
            state.serves(model).map_err(StoreError::Refused)?;
            Ok(state.table(model, entity).map_or(0, |table| table.rows.len() as u64))
        })
    }

    fn prune<'a>(&'a self, keep: &'a Retention) -> Later<'a, Result<Pruned, StoreError>> {
        Box::pin(async move {
            let mut state = self.shared.state.write();
            state.open().map_err(StoreError::Refused)?;
            Ok(prune(&mut state, keep))
        })
    }

    fn redact<'a>(&'a self, model: &'a SharedModel, entity: EntityId, key: &'a Value) -> Later<'a, Result<Redacted, StoreError>> {
        Box::pin(async move {
            let mut state = self.shared.state.write();
            state.open().map_err(StoreError::Refused)?;
            Ok(redact(&mut state, model.entity(entity).number, key))
        })
    }
}

fn steps(from: Option<&Model>, to: &Model) -> Vec<MigrationStep> {
    let step = |title: String, destructive| MigrationStep { title, destructive, statement: String::new() };
    let mut steps = Vec::new();
    let was = |number: u32| from.and_then(|model| model.entities.iter().find(|entity| entity.number == number));
    for entity in &to.entities {
        match was(entity.number) {
            None => steps.push(step(format!("create table `{}`", entity.table), false)),
            Some(before) => steps.extend(field_steps(before, entity).into_iter().map(|(title, destructive)| step(title, destructive))),
        }
    }
    let gone =
        from.into_iter().flat_map(|model| &model.entities).filter(|entity| !to.entities.iter().any(|kept| kept.number == entity.number));
    steps.extend(gone.map(|entity| step(format!("drop table `{}`", entity.table), true)));
    steps
}

fn field_steps(before: &Entity, after: &Entity) -> Vec<(String, bool)> {
    let table = &after.table;
    let mut steps = Vec::new();
    for field in &after.fields {
        match by_number(before, field.number) {
            None => steps.push((format!("add column `{}` to `{table}`", field.column), false)),
            Some(slot) if before.fields.get(slot).is_some_and(|was| was.ty != field.ty) => {
                steps.push((format!("change the type of `{}` in `{table}`", field.column), true));
            }
            Some(_) => {}
        }
    }
    let gone = before.fields.iter().filter(|field| by_number(after, field.number).is_none());
    steps.extend(gone.map(|field| (format!("drop column `{}` of `{table}`", field.column), true)));
    steps
}

fn by_number(entity: &Entity, number: u32) -> Option<usize> {
    entity.fields.iter().position(|field| field.number == number)
}

/// Checks first, so that a refused migration leaves everything as it was.
fn migrate(state: &mut State, model: &SharedModel) -> Result<(), Error> {
    let before = state.model.take();
    let checked = model.entities.iter().try_for_each(|entity| check(state, before.as_deref(), entity));
    if let Err(error) = checked {
        state.model = before;
        return Err(error);
    }
    state.tables.retain(|number, _| model.entities.iter().any(|entity| entity.number == *number));
    for entity in &model.entities {
        let was = before.as_ref().and_then(|model| model.entities.iter().find(|was| was.number == entity.number));
        let table = state.table_mut(entity.number);
        if let Some(was) = was {
            table.rows.values_mut().for_each(|row| *row = carried(was, entity, row));
        }
    }
    state.model = Some(model.clone());
    Ok(())
}

fn check(state: &State, before: Option<&Model>, entity: &Entity) -> Result<(), Error> {
    let was = before.and_then(|model| model.entities.iter().find(|was| was.number == entity.number));
    let empty = state.tables.get(&entity.number).is_none_or(|table| table.rows.is_empty());
    let (Some(was), false) = (was, empty) else { return Ok(()) };
    for field in &entity.fields {
        let fits = match by_number(was, field.number).and_then(|slot| was.fields.get(slot)) {
            Some(before) => {
                before.ty.base == field.ty.base && before.ty.list == field.ty.list && (field.ty.nullable || !before.ty.nullable)
            }
            None => field.ty.nullable || !initial(field).is_null(),
        };
        if !fits {
            let message =
                format!("`{}.{}` is not nullable and has no default, or changes its type, and there are rows", entity.name, field.name);
            return Err(Error::new(ErrorCode::FailedPrecondition, message));
        }
    }
    Ok(())
}

fn carried(was: &Entity, entity: &Entity, row: &Row) -> Row {
    let value = |field: &Field| match by_number(was, field.number) {
        Some(slot) => row.0.get(slot).cloned().unwrap_or_default(),
        None => initial(field),
    };
    Row(entity.fields.iter().map(value).collect())
}

/// What a row that was there before a field has in it.
fn initial(field: &Field) -> Value {
    match &field.default {
        Some(FieldDefault::Literal(value)) => value.clone(),
        _ if field.ty.list && matches!(field.ty.base, fourfold_model::Base::Owned(_)) => Value::Owned([].into()),
        _ if field.ty.list => Value::List([].into()),
        _ => Value::Null,
    }
}
