//! Rows that are inserted several at a time, where each step stands alone.
//!
//! A row that is created waits until there are enough, or until something looks into the tables. A row that meets another is left out by the
//! database; it is then inserted by itself, so that the database says what is in its way.

use std::collections::HashSet;

use fourfold_model::{EntityId, Value};
use fourfold_op::{Change, Error};
use fourfold_plan::Settled;
use fourfold_store::CommitError;

use super::texts::TableTexts;
use super::write::payload;
use super::{Committing, Done, Stop};
use crate::error::misformed;
use crate::read::{key_codec, value_at};
use crate::value::{Bound, bound_column};

impl Committing<'_> {
    /// Whether new rows of an entity can wait for others.
    pub(super) fn may_wait(&self, entity: EntityId) -> bool {
        self.plan.each() && !self.is_adopted(entity) && self.texts.table(entity).is_ok_and(TableTexts::takes_arrays)
    }

    /// Writes what a step settled, now or with others.
    pub(super) async fn write_or_wait(&mut self, step: usize, settled: Box<Settled>, keyed: bool) -> Done<()> {
        if settled.change != Some(Change::Created) || !self.may_wait(settled.entity) {
            self.insert_waiting().await?;
            return self.write_whole(&settled, keyed).await;
        }
        if self.waiting.first().is_some_and(|(_, first, _)| first.entity != settled.entity) {
            self.insert_waiting().await?;
        }
        if self.record.count() + self.waiting.len() >= self.plan.events_max() {
            return Err(Error::limit("commit_events_max", self.plan.events_max(), "events").into());
        }
        let bytes = payload(&settled);
        if self.bytes + self.waiting_bytes + bytes > self.plan.bytes_max() {
            return Err(Error::limit("commit_bytes_max", self.plan.bytes_max(), "bytes").into());
        }
        self.waiting_bytes += bytes;
        self.touched.insert((settled.entity, settled.key.clone()));
        self.waiting.push((step, settled, keyed));
        Ok(())
    }

    /// Inserts what waits, when it is as many rows as one statement takes.
    pub(super) async fn insert_when_several(&mut self) -> Done<()> {
        let Some((_, first, _)) = self.waiting.first() else { return Ok(()) };
        if self.waiting.len() < self.texts.table(first.entity)?.writes.several { Ok(()) } else { self.insert_waiting().await }
    }

    /// Inserts what waits.
    pub(super) async fn insert_waiting(&mut self) -> Done<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let Some(entity) = waiting.first().map(|(_, first, _)| first.entity) else { return Ok(()) };
        let rows: Vec<&Settled> = waiting.iter().map(|(_, settled, _)| settled.as_ref()).collect();
        let mut inserted = self.insert_rows(entity, &rows).await?;
        for settled in rows {
            self.counted(settled).await?;
        }
        for (step, settled, keyed) in &waiting {
            let done = match inserted.remove(&settled.key) {
                true => self.event(settled),
                false => self.insert_alone(settled, *keyed).await,
            };
            match done {
                Err(Stop::Refused(CommitError::Refused(error))) => {
                    if let Some(answer) = self.steps.get_mut(*step) {
                        *answer = Err(error);
                    }
                }
                done => done?,
            }
        }
        let made: Vec<&Settled> = waiting.iter().filter(|(.., keyed)| *keyed).map(|(_, settled, _)| settled.as_ref()).collect();
        if made.is_empty() { Ok(()) } else { self.not_deleted_meanwhile(entity, &made).await }
    }

    /// The keys of the rows that met no others.
    pub(super) async fn insert_rows(&self, entity: EntityId, waiting: &[&Settled]) -> Done<HashSet<Value>> {
        let (model, writes) = (self.model(), &self.texts.table(entity)?.writes);
        let statement = self.client.prepared(&writes.insert_several).await?;
        let columns: Vec<Bound> = writes
            .columns
            .iter()
            .map(|(field, codec)| bound_column(model, *codec, waiting.iter().map(|settled| settled.row.value(*field))))
            .collect();
        let rows = self.rows(&statement, columns).await?;
        let key = |row: &tokio_postgres::Row| {
            Ok(value_at(model, key_codec(model, entity), row, 0)?.ok_or_else(|| misformed(&model.entity(entity).table))?)
        };
        rows.iter().map(key).collect()
    }

    async fn insert_alone(&mut self, settled: &Settled, keyed: bool) -> Done<()> {
        self.client.batch_execute("SAVEPOINT row").await?;
        let done = self.write_whole(settled, keyed).await;
        match done {
            Ok(()) => self.client.batch_execute("RELEASE row").await?,
            Err(Stop::Refused(_)) => self.client.batch_execute("ROLLBACK TO row; RELEASE row").await?,
            Err(_) => {}
        }
        done
    }

    /// Writes a settled row with its events; nothing of them stays in the record where it is refused.
    async fn write_whole(&mut self, settled: &Settled, keyed: bool) -> Done<()> {
        let (mark, bytes) = (self.record.mark(), self.bytes);
        let done = self.write(settled, keyed).await;
        if let Err(Stop::Refused(_)) = done {
            self.record.cut(mark);
            self.bytes = bytes;
        }
        done
    }
}
