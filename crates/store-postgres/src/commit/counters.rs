//! Counters: the numbers that `next()` gives. A counter's row is locked from the first number to the end of the commit, so numbers come in
//! the order of commits and none is lost.

use fourfold_model::{EntityId, FieldId, KEY, Value};
use fourfold_op::Error;
use fourfold_plan::Settled;
use fourfold_store::sql::quoted;

use super::{Committing, Done};

impl Committing<'_> {
    /// The next number of a field's counter: above every value that the column has.
    pub(super) async fn next(&mut self, id: EntityId, field: FieldId) -> Done<Value> {
        if self.waiting.iter().any(|(_, settled, _)| settled.entity == id && !self.is_given(settled, field)) {
            self.insert_waiting().await?;
        }
        let entity = self.plan.model().entity(id);
        if field == KEY
            && let Some(sequence) = self.sequence(id)
        {
            return self.next_of(id, &sequence).await;
        }
        let at = (i64::from(entity.number), i64::from(entity.field(field).number));
        let known = if field == KEY { None } else { self.risen(at).await? };
        let next = match known {
            Some(next) => next,
            None => self.above_all(id, field, at).await?,
        };
        self.given.insert((entity.number, entity.field(field).number, next));
        Ok(Value::Int(next))
    }

    /// The sequence of a table of others that numbers its keys.
    fn sequence(&self, id: EntityId) -> Option<String> {
        self.inner.adopted.read().get(&self.plan.model().entity(id).number).cloned().flatten()
    }

    /// The number that whoever writes to the table beside this store would get next.
    async fn next_of(&mut self, id: EntityId, sequence: &str) -> Done<Value> {
        let statement = self.client.prepared("SELECT nextval($1::text::regclass)").await?;
        let next: i64 = self.client.query_one(&statement, &[&sequence]).await?.try_get(0)?;
        let entity = self.plan.model().entity(id);
        self.given.insert((entity.number, entity.field(KEY).number, next));
        Ok(Value::Int(next))
    }

    /// A client's own key moves the table's sequence above it, so that nobody is given it again.
    pub(super) async fn sequence_moved(&self, settled: &Settled) -> Done<()> {
        let (Some(sequence), Value::Int(key)) = (self.sequence(settled.entity), &settled.key) else { return Ok(()) };
        if self.is_given(settled, KEY) {
            return Ok(());
        }
        let text = "SELECT setval(s, $2) FROM (SELECT $1::text::regclass AS s) AS q WHERE $2 > coalesce(pg_sequence_last_value(s), 0)";
        let statement = self.client.prepared(text).await?;
        self.client.query(&statement, &[&sequence, key]).await?;
        Ok(())
    }

    /// The counter of a field that is no key: what clients write into it raises it, so the column need not be looked at.
    async fn risen(&self, at: (i64, i64)) -> Done<Option<i64>> {
        let text = "UPDATE fourfold_counter SET value = value + 1 WHERE entity = $1 AND field = $2 AND value < 9223372036854775807 RETURNING value";
        let statement = self.client.prepared(text).await?;
        let row = self.client.query_opt(&statement, &[&at.0, &at.1]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// The counter of a key, which its index gives the greatest of; or one that is not there yet.
    async fn above_all(&self, id: EntityId, field: FieldId, at: (i64, i64)) -> Done<i64> {
        let entity = self.plan.model().entity(id);
        let (table, column) = (quoted(&entity.table), quoted(&entity.field(field).column));
        let text = format!(
            "INSERT INTO fourfold_counter AS c (entity, field, value) VALUES ($1, $2, (SELECT greatest(max({column})::int8, 0) FROM {table})) \
             ON CONFLICT (entity, field) DO UPDATE SET value = greatest(c.value, excluded.value) RETURNING value"
        );
        let statement = self.client.prepared(&text).await?;
        let last: i64 = self.client.query_one(&statement, &[&at.0, &at.1]).await?.try_get(0)?;
        let risen = self.risen(at).await?;
        risen.filter(|next| *next > last).ok_or_else(|| Error::limit("counter_max", i64::MAX as usize, "numbers").into())
    }

    /// Whether a row's number is one that the counter gave in this commit.
    pub(super) fn is_given(&self, settled: &Settled, field: FieldId) -> bool {
        let entity = self.plan.model().entity(settled.entity);
        match settled.row.value(field) {
            Value::Int(number) => self.given.contains(&(entity.number, entity.field(field).number, *number)),
            _ => true,
        }
    }

    /// A client's own number in a counted field moves the counter above it.
    pub(super) async fn counted(&self, settled: &Settled) -> Done<()> {
        for field in &self.texts.table(settled.entity)?.counted {
            let (false, Value::Int(number)) = (self.is_given(settled, *field), settled.row.value(*field)) else { continue };
            if !settled.changed_fields.is_empty() && !settled.changed_fields.contains(field) {
                continue;
            }
            let entity = self.plan.model().entity(settled.entity);
            let text = "UPDATE fourfold_counter SET value = $3 WHERE entity = $1 AND field = $2 AND value < $3";
            let statement = self.client.prepared(text).await?;
            let at = (i64::from(entity.number), i64::from(entity.field(*field).number));
            self.client.execute(&statement, &[&at.0, &at.1, number]).await?;
        }
        Ok(())
    }
}
