//! The loop of a source: take messages, and commit what they write with how far they were read.
//!
//! The place of each partition is moved by compare-and-set in the commit of the rows. So it does not matter what the source believes: a
//! message that comes again is below its place, and of two that read one partition one finds it moved, and begins where it is now.
//! A message that is refused is buried before its place is passed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fourfold_engine::{Engine, IntakeError, IntakeRow, Move, Place};
use fourfold_op::{Context, Deadline, Error, ErrorCode, RequestId, WriteKind};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::health::ConnectorState;
use crate::message::reason;
use crate::observe::{Happened, note};
use crate::run::{bounded, stopped};
use crate::settings::{Begin, SourceSettings};
use crate::source::{Arrival, BuryError, DeadMessage, From as BeginFrom, Message, Source, SourceBudget, SourceError};
use crate::source_status::SourceStatus;

/// How often it is looked how far behind a source is.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The task of one source.
pub(crate) struct Intake {
    engine: Arc<Engine>,
    settings: SourceSettings,
    source: Box<dyn Source>,
    status: Arc<SourceStatus>,
    stop: watch::Receiver<bool>,
    context: Context,
    backoff: Backoff,
    /// How far each partition that is ours was read, as it is saved.
    places: BTreeMap<i32, Option<Place>>,
    /// Whether the source may stand elsewhere than what is saved.
    adrift: bool,
}

/// Why a source does not go on.
enum Pause {
    Stopped,
    /// What was to be read next is gone.
    Lost(String),
    /// It is to be tried again, from what is saved.
    Failed(String),
    /// Nothing came; what comes next is what was to come.
    Unreached(String),
}

impl std::convert::From<Error> for Pause {
    fn from(error: Error) -> Pause {
        Pause::Failed(error.private.0.as_ref().map_or_else(|| error.to_string(), |private| format!("{error} ({private})")))
    }
}

/// A message on its way.
struct Item {
    message: Message,
    row: Result<IntakeRow, Error>,
    /// It deletes what is not there: nothing is to be done.
    void: bool,
}

impl Intake {
    pub fn new(
        engine: Arc<Engine>,
        settings: SourceSettings,
        source: Box<dyn Source>,
        status: Arc<SourceStatus>,
        stop: watch::Receiver<bool>,
    ) -> Intake {
        let context = Context {
            principal: Arc::clone(&settings.principal),
            deadline: Deadline(None),
            idempotency: None,
            request: RequestId(format!("source-{}", settings.name).into()),
        };
        let backoff = Backoff::new(settings.pace.backoff_min, settings.pace.backoff_max);
        Intake { engine, settings, source, status, stop, context, backoff, places: BTreeMap::new(), adrift: false }
    }

    /// Runs until it is stopped.
    pub async fn run(mut self) {
        note(&Happened::SourceBegan { source: &self.settings.name });
        loop {
            match self.serve().await {
                Pause::Stopped => break,
                Pause::Unreached(why) => {
                    if let Err(Pause::Stopped) = self.back_off(&why).await {
                        break;
                    }
                }
                Pause::Failed(why) => {
                    self.adrift = true;
                    if let Err(Pause::Stopped) = self.back_off(&why).await {
                        break;
                    }
                }
                Pause::Lost(why) => {
                    self.look();
                    self.status.health.set(ConnectorState::Lost);
                    self.status.health.failed(&why);
                    note(&Happened::SourceLost { source: &self.settings.name, why: &why });
                    return stopped(&mut self.stop).await;
                }
            }
        }
        self.status.health.set(ConnectorState::Ended);
        note(&Happened::SourceEnded { source: &self.settings.name });
    }

    async fn serve(&mut self) -> Pause {
        loop {
            if let Err(pause) = self.step().await {
                return pause;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Pause> {
        if self.adrift {
            self.resume().await?;
        }
        match self.next().await? {
            Arrival::Assigned(partitions) => {
                self.places = partitions.into_iter().map(|partition| (partition, None)).collect();
                self.adrift = true;
            }
            Arrival::Messages(messages) => {
                self.take(messages).await?;
                self.go_on();
            }
        }
        self.look();
        Ok(())
    }

    async fn next(&mut self) -> Result<Arrival, Pause> {
        let pace = &self.settings.pace;
        let budget = SourceBudget { messages_max: pace.batch_rows_max, bytes_max: pace.batch_bytes_max };
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return Err(Pause::Stopped),
                arrived = self.source.next(budget) => return arrived.map_err(|error| match error {
                    SourceError::Temporary(why) => Pause::Unreached(why),
                    SourceError::Lost(why) => Pause::Lost(why),
                }),
                () = sleep(LOOK_EVERY) => {
                    self.look();
                    if self.source.reaches() {
                        self.go_on();
                    }
                }
            }
        }
    }

    /// Begins where the places are that are saved.
    async fn resume(&mut self) -> Result<(), Pause> {
        if self.places.is_empty() {
            self.adrift = false;
            return Ok(());
        }
        let mut beginnings = Vec::with_capacity(self.places.len());
        for (partition, place) in &mut self.places {
            *place = self.engine.place(&stream(&self.settings, *partition)).await?;
            beginnings.push((*partition, beginning(place.as_ref(), self.settings.begin)));
        }
        let stop_timeout = self.settings.pace.stop_timeout;
        let begun = bounded(self.stop.clone(), stop_timeout, self.source.begin(&beginnings)).await.map_err(|_| Pause::Stopped)?;
        let begun = begun.map_err(|error| match error {
            SourceError::Temporary(why) => Pause::Failed(why),
            SourceError::Lost(why) => Pause::Lost(why),
        })?;
        // At once, so that `now` stays the moment at which it began.
        let new: BTreeMap<i32, u64> = begun.into_iter().filter(|(partition, _)| self.is_new(*partition)).collect();
        if !new.is_empty() {
            self.commit(&[], &new).await.map_err(of_commit)?;
        }
        self.adrift = false;
        Ok(())
    }

    fn is_new(&self, partition: i32) -> bool {
        self.settings.begin == Begin::Now && matches!(self.places.get(&partition), Some(None))
    }

    /// Takes messages in, and buries those that are refused.
    async fn take(&mut self, messages: Vec<Message>) -> Result<(), Pause> {
        let mut items: Vec<Item> = messages.into_iter().filter(|message| self.is_next(message)).map(|message| self.item(message)).collect();
        let mut rest = items.as_mut_slice();
        // Passed without a row, and not saved yet.
        let mut passed = BTreeMap::new();
        let mut wanted = rest.len();
        while let Some(first) = rest.first() {
            if let Err(error) = &first.row {
                self.bury(&first.message, error).await?;
                passed.insert(first.message.partition, first.message.offset + 1);
                rest = rest.split_at_mut(1).1;
                continue;
            }
            let good = rest.iter().position(|item| item.row.is_err()).unwrap_or(rest.len());
            let count = good.min(wanted).max(1);
            match self.commit_items(&rest[..count], &passed).await {
                Ok(()) => {
                    passed.clear();
                    rest = rest.split_at_mut(count).1;
                    wanted = rest.len();
                }
                Err(IntakeError::Refused { row, error }) => refuse(&mut rest[..count], row, error),
                Err(IntakeError::TooMuch(_)) => wanted = count / 2,
                Err(other) => return Err(of_commit(other)),
            }
        }
        if !passed.is_empty() {
            self.commit(&[], &passed).await.map_err(of_commit)?;
        }
        Ok(())
    }

    /// Whether it was not taken in before, and is ours.
    fn is_next(&self, message: &Message) -> bool {
        self.places.get(&message.partition).is_some_and(|place| place.as_ref().is_none_or(|place| message.offset >= place.next))
    }

    fn item(&self, message: Message) -> Item {
        let row = self.settings.reading.read(self.engine.model(), self.engine.limits(), &message);
        Item { message, row, void: false }
    }

    async fn commit_items(&mut self, items: &[Item], passed: &BTreeMap<i32, u64>) -> Result<(), IntakeError> {
        let mut next = passed.clone();
        next.extend(items.iter().map(|item| (item.message.partition, item.message.offset + 1)));
        let rows: Vec<IntakeRow> = items.iter().filter(|item| !item.void).filter_map(|item| item.row.as_ref().ok().cloned()).collect();
        self.commit(&rows, &next).await?;
        self.status.taken(items.len());
        Ok(())
    }

    /// Rows and the places after them, in one commit.
    async fn commit(&mut self, rows: &[IntakeRow], next: &BTreeMap<i32, u64>) -> Result<(), IntakeError> {
        let streams: Vec<String> = next.keys().map(|partition| stream(&self.settings, *partition)).collect();
        let lasts = next.keys().map(|partition| self.places.get(partition).and_then(Option::as_ref));
        let moves = streams.iter().zip(next.values()).zip(lasts).map(|((stream, next), last)| Move { stream, last, next: *next });
        let moved = self.engine.take_in(&self.context, rows, &moves.collect::<Vec<_>>()).await?;
        self.places.extend(next.keys().copied().zip(moved.into_iter().map(Some)));
        Ok(())
    }

    async fn bury(&mut self, message: &Message, error: &Error) -> Result<(), Pause> {
        let (code, why) = (error.code.name(), reason(error));
        let (partition, offset) = (message.partition, message.offset);
        loop {
            let letter = DeadMessage { source: &self.settings.name, message, code, why: &why };
            let work = self.source.bury(letter);
            let buried = bounded(self.stop.clone(), self.settings.pace.stop_timeout, work).await.map_err(|_| Pause::Stopped)?;
            match buried {
                Ok(()) => {
                    self.status.health.buried();
                    note(&Happened::SourceBuried { source: &self.settings.name, partition, offset, code });
                    return Ok(());
                }
                Err(BuryError::Temporary(why)) => self.back_off(&why).await?,
                Err(BuryError::Nowhere(nowhere)) => {
                    note(&Happened::SourceBlocked { source: &self.settings.name, partition, offset, code });
                    let why = format!("message {offset} of partition {partition} was refused ({why}), and cannot be buried: {nowhere}");
                    self.wait(ConnectorState::Blocked, &why).await?;
                    // The model's rows may let it in now.
                    return Err(Pause::Failed(why));
                }
            }
        }
    }

    fn go_on(&mut self) {
        let was = self.status.health.state();
        if self.status.health.set(ConnectorState::Running) {
            if was != ConnectorState::Starting {
                note(&Happened::SourceRecovered { source: &self.settings.name });
            }
            self.backoff.reset();
        }
    }

    async fn back_off(&mut self, why: &str) -> Result<(), Pause> {
        note(&Happened::SourceFailed { source: &self.settings.name, why });
        self.wait(ConnectorState::BackingOff, why).await
    }

    async fn wait(&mut self, state: ConnectorState, why: &str) -> Result<(), Pause> {
        self.status.health.set(state);
        self.status.health.failed(why);
        let wait = sleep(self.backoff.after_failure());
        tokio::select! {
            biased;
            () = stopped(&mut self.stop) => Err(Pause::Stopped),
            () = wait => Ok(()),
        }
    }

    /// How far it is behind.
    fn look(&self) {
        let behind = self.source.ends().into_iter().filter_map(|ends| {
            let place = self.places.get(&ends.partition)?;
            Some(ends.next.saturating_sub(place.as_ref().map_or(ends.first, |place| place.next)))
        });
        self.status.behind(behind.sum());
    }
}

/// Where a partition begins: where its place is saved, else where the settings say.
fn beginning(place: Option<&Place>, begin: Begin) -> BeginFrom {
    match (place, begin) {
        (Some(place), _) => BeginFrom::Offset(place.next),
        (None, Begin::First) => BeginFrom::First,
        (None, Begin::Now) => BeginFrom::Now,
    }
}

/// The name of a partition's record.
fn stream(settings: &SourceSettings, partition: i32) -> String {
    format!("{}/{}/{partition}", settings.name, settings.topic)
}

/// Marks the message whose row was refused: to be buried, or to be passed over.
fn refuse(items: &mut [Item], row: usize, error: Error) {
    let mut rows = items.iter_mut().filter(|item| !item.void);
    let Some(item) = rows.nth(row) else { return };
    let deletes = item.row.as_ref().is_ok_and(|row| row.kind == WriteKind::Delete);
    if deletes && error.code == ErrorCode::NotFound {
        item.void = true;
    } else {
        item.row = Err(error);
    }
}

fn of_commit(error: IntakeError) -> Pause {
    match error {
        IntakeError::Moved => Pause::Failed("another process has moved its place; it goes on from there".to_owned()),
        IntakeError::Refused { error, .. } | IntakeError::TooMuch(error) | IntakeError::Failed(error) => error.into(),
    }
}
