//! A subscriber: watches, loses its line, comes back, and notes what it is told.

use std::sync::Arc;

use prost_reflect::DescriptorPool;

use super::diary::{Began, Chapter, Connection, Diary};
use super::{Asked, From, MARKER, Place, Stop, Told, Transport, World};
use crate::random::Random;

/// One that watches until it was told of the marker.
pub struct Subscriber {
    world: Arc<World>,
    pool: DescriptorPool,
    random: Random,
    from: From,
    /// Rows of a list that is not whole yet.
    rows: Vec<super::Change>,
    diary: Diary,
    /// After how many changes it has seen enough; none: at the marker.
    enough: Option<usize>,
}

impl Subscriber {
    /// Over an API.
    pub fn new(world: &Arc<World>, pool: &DescriptorPool, transport: Transport, asked: Asked, random: Random) -> Subscriber {
        let diary = Diary::new(transport, asked);
        Subscriber { world: Arc::clone(world), pool: pool.clone(), random, from: From::Rows, rows: Vec::new(), diary, enough: None }
    }

    /// One that has seen enough after so many changes.
    pub fn until(self, changes: usize) -> Subscriber {
        Subscriber { enough: Some(changes), ..self }
    }

    /// Watches to the end.
    ///
    /// # Errors
    /// What no server may say.
    pub async fn watch(mut self) -> Result<Diary, String> {
        loop {
            match self.connection().await {
                Ok(()) => return Ok(self.diary),
                Err(Stop::Again(why)) => *self.diary.ends.entry(why).or_default() += 1,
                Err(Stop::Reset) => self.reset(),
                Err(Stop::Fault(fault)) => return Err(format!("{:?} {:?}: {fault}", self.diary.transport, self.diary.asked)),
            }
        }
    }

    /// One connection; it ends well at the marker alone.
    async fn connection(&mut self) -> Result<(), Stop> {
        self.rows.clear();
        if let (Some(chapter), From::After(cursor)) = (self.diary.chapters.last_mut(), &self.from) {
            let (told, after) = (chapter.changes.len(), Place::parse(cursor)?.position);
            chapter.connections.push(Connection { told, after, began: Began::Since(self.world.committed()) });
        }
        let fate = self.world.fate(&mut self.random);
        let io = match self.world.dial(fate, &mut self.random).await {
            Ok(io) => io,
            Err(error) => {
                // Killed, and not yet known to be.
                tokio::task::yield_now().await;
                return Err(Stop::Again(format!("no line: {}", error.kind())));
            }
        };
        let mut reader = self.diary.transport.open(io, &self.diary.asked, &self.from, &self.pool).await?;
        loop {
            if self.note(reader.next().await?)? {
                return Ok(());
            }
        }
    }

    /// Notes what was told; whether it was the last.
    fn note(&mut self, told: Told) -> Result<bool, Stop> {
        match told {
            Told::Row(row) => self.rows.push(row),
            Told::At(cursor) => {
                let at = Place::parse(&cursor)?;
                self.world.note_committed(at.position);
                if self.from == From::Rows {
                    let rows = std::mem::take(&mut self.rows);
                    let connections = vec![Connection { told: 0, after: at.position, began: Began::WithRows }];
                    self.diary.chapters.push(Chapter { at, rows, connections, ..Chapter::default() });
                }
                self.from = From::After(cursor);
            }
            Told::Change(change, cursor) => {
                self.from = From::After(cursor);
                let chapter = self.diary.chapters.last_mut().ok_or_else(|| Stop::Fault("a change before the rows".to_owned()))?;
                self.world.note_committed(change.position);
                let marked = change.key == MARKER;
                chapter.changes.push(change);
                return Ok(marked || self.enough.is_some_and(|enough| chapter.changes.len() >= enough));
            }
            Told::Reset => return Err(Stop::Reset),
        }
        // Who lists again after the last write finds the marker among the rows.
        let listed = self.diary.chapters.last().filter(|_| self.from != From::Rows);
        Ok(listed.is_some_and(|chapter| chapter.rows.iter().any(|row| row.key == MARKER)))
    }

    fn reset(&mut self) {
        self.from = From::Rows;
        if let Some(chapter) = self.diary.chapters.last_mut() {
            chapter.reset = true;
        }
    }
}
