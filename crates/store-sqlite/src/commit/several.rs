//! Rows of an ingest that are inserted several at a time: a statement costs as much as the row that it inserts.
//!
//! A row that only has to be inserted waits for others of its entity. Whatever looks into the tables has them inserted first. Where one of
//! several is refused, none was inserted: each is then inserted by itself, so that its step alone is refused.

use fourfold_model::{EntityId, Model};
use fourfold_op::Change;
use fourfold_plan::Settled;
use fourfold_store::CommitError;
use rusqlite::CachedStatement;

use super::{Committing, Done, Stop};
use crate::value::to_sql;

impl<'a> Committing<'a> {
    /// Writes what a step settled, now or with others.
    pub(super) fn write_or_wait(&mut self, step: usize, settled: Box<Settled>) -> Done<()> {
        let waits = self.plan.each() && settled.change == Some(Change::Created) && self.is_one_statement(step);
        if !waits {
            self.insert_waiting()?;
            return self.write_whole(&settled);
        }
        if self.waiting.first().is_some_and(|(_, first)| first.entity != settled.entity) {
            self.insert_waiting()?;
        }
        self.counted(&settled);
        self.waiting.push((step, settled));
        Ok(())
    }

    /// Inserts what waits, when it is as many rows as one statement takes.
    pub(super) fn insert_when_several(&mut self) -> Done<()> {
        let Some((_, first)) = self.waiting.first() else { return Ok(()) };
        if self.waiting.len() < self.texts.table(first.entity)?.several { Ok(()) } else { self.insert_waiting() }
    }

    /// Inserts what waits.
    pub(super) fn insert_waiting(&mut self) -> Done<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        if !self.insert_together(&waiting)? {
            for (step, settled) in &waiting {
                match self.write_whole(settled) {
                    Err(Stop::Refused(CommitError::Refused(error))) => {
                        if let Some(answer) = self.steps.get_mut(*step) {
                            *answer = Err(error);
                        }
                    }
                    done => done?,
                }
            }
        }
        waiting.clear();
        self.waiting = waiting;
        Ok(())
    }

    /// Writes a settled row with its events; nothing of them stays in the record where it is refused.
    fn write_whole(&mut self, settled: &Settled) -> Done<()> {
        let (mark, bytes) = (self.record.mark(), self.bytes);
        let done = self.write(settled);
        if let Err(Stop::Refused(_)) = done {
            self.record.cut(mark);
            self.bytes = bytes;
        }
        done
    }

    /// Whether they were inserted by one statement; if not, nothing was done.
    fn insert_together(&mut self, waiting: &[(usize, Box<Settled>)]) -> Done<bool> {
        let Some(entity) = waiting.first().map(|(_, first)| first.entity) else { return Ok(true) };
        if waiting.len() != self.texts.table(entity)?.several {
            return Ok(false);
        }
        let (mark, bytes) = (self.record.mark(), self.bytes);
        let done = waiting.iter().try_for_each(|(_, settled)| self.event(settled)).and_then(|()| self.insert_rows(entity, waiting));
        match done {
            Err(Stop::Refused(_)) => {
                self.record.cut(mark);
                self.bytes = bytes;
                Ok(false)
            }
            done => done.map(|()| true),
        }
    }

    fn insert_rows(&mut self, entity: EntityId, waiting: &[(usize, Box<Settled>)]) -> Done<()> {
        let model: &Model = self.plan.model();
        let texts = self.texts.table(entity)?;
        let mut statement: CachedStatement<'a> = match self.insert_several.take() {
            Some((last, statement)) if last == entity => statement,
            _ => self.connection.prepare_cached(&texts.insert_several)?,
        };
        let mut at = 0;
        for (_, settled) in waiting {
            for (field, codec) in &texts.columns {
                at += 1;
                statement.raw_bind_parameter(at, to_sql(model, *codec, settled.row.value(*field)))?;
            }
        }
        let result = statement.raw_execute();
        self.insert_several = Some((entity, statement));
        result.map(|_| ()).map_err(|error| self.unique(entity, error))
    }
}
