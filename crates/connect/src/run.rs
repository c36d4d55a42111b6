//! The loop of a sink: read a stretch of the log, deliver it, move the watermark, and save that now and then.
//!
//! The watermark moves when the target has confirmed, and never before; it is saved after it moved. So whatever ends this process, the next
//! one begins at or before the first event that was not delivered.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fourfold_engine::{Checkpoint, Engine, LogEnd, LogReader, Stretch};
use fourfold_op::{Context, Cursor, Deadline, Error, ErrorCode, Position, RequestId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::Backoff;
use crate::event::{Delivery, Form};
use crate::health::ConnectorState;
use crate::observe::{Happened, note};
use crate::settings::{Begin, SinkSettings};
use crate::sink::{DeadLetter, Sink, SinkError};
use crate::status::Status;

/// The task of one sink.
pub(crate) struct Task {
    engine: Arc<Engine>,
    settings: SinkSettings,
    sink: Box<dyn Sink>,
    form: Form,
    status: Arc<Status>,
    stop: watch::Receiver<bool>,
    context: Context,
    backoff: Backoff,
    /// Up to here everything was delivered; `None` until it has begun, or when another process has moved it.
    watermark: Option<Cursor>,
    /// As it was saved last.
    checkpoint: Option<Checkpoint>,
    saved_at: Instant,
}

/// Why a sink does not go on.
enum Pause {
    /// The server ends, or another engine takes this one's place.
    Stopped,
    /// The log no longer has what comes next.
    Lost,
    /// It is to be tried again.
    Failed(String),
}

/// The end was asked for, and waited for as long as that may take.
pub(crate) struct Stopped;

impl From<Stopped> for Pause {
    fn from(_: Stopped) -> Pause {
        Pause::Stopped
    }
}

impl From<Error> for Pause {
    fn from(error: Error) -> Pause {
        match error.code {
            ErrorCode::CursorExpired => Pause::Lost,
            _ => Pause::Failed(error.private.0.as_ref().map_or_else(|| error.to_string(), |private| format!("{error} ({private})"))),
        }
    }
}

impl Task {
    pub fn new(engine: Arc<Engine>, settings: SinkSettings, sink: Box<dyn Sink>, status: Arc<Status>, stop: watch::Receiver<bool>) -> Task {
        let form = Form::new(engine.model(), settings.interests.iter().map(|interest| interest.entity));
        let context = Context {
            principal: Arc::clone(&settings.principal),
            deadline: Deadline(None),
            idempotency: None,
            request: RequestId(format!("sink-{}", settings.name).into()),
        };
        let backoff = Backoff::new(settings.pace.backoff_min, settings.pace.backoff_max);
        let saved_at = Instant::now();
        Task { engine, settings, sink, form, status, stop, context, backoff, watermark: None, checkpoint: None, saved_at }
    }

    /// Runs until it is stopped, and saves how far it came.
    pub async fn run(mut self) {
        loop {
            match self.serve().await {
                Pause::Stopped => break,
                Pause::Failed(why) => {
                    if let Err(Pause::Stopped) = self.back_off(&why).await {
                        break;
                    }
                }
                Pause::Lost => return self.be_lost().await,
            }
        }
        let unsaved = self.save().await.err();
        let unsaved = unsaved.map(|pause| if let Pause::Failed(why) = pause { why } else { "it is lost".to_owned() });
        self.status.health.set(ConnectorState::Ended);
        let watermark = self.watermark.as_ref().map_or(0, |cursor| cursor.after);
        note(&Happened::Ended { sink: &self.settings.name, watermark, unsaved: unsaved.as_deref() });
    }

    async fn be_lost(mut self) {
        self.status.health.set(ConnectorState::Lost);
        self.status.health.failed("the log no longer has what comes next for it");
        let watermark = self.checkpoint.as_ref().map_or(0, |saved| saved.cursor.after);
        note(&Happened::Lost { sink: &self.settings.name, watermark });
        stopped(&mut self.stop).await;
    }

    async fn serve(&mut self) -> Pause {
        let mut reader = match self.begin().await {
            Ok(reader) => reader,
            Err(pause) => return pause,
        };
        loop {
            let served = match self.next(&mut reader).await {
                Ok(stretch) => self.deliver(stretch).await,
                Err(pause) => Err(pause),
            };
            if let Err(pause) = served {
                return pause;
            }
        }
    }

    /// From where it was saved, or where this process has come beyond that.
    async fn begin(&mut self) -> Result<LogReader, Pause> {
        let name = Arc::clone(&self.settings.name);
        self.checkpoint = self.engine.checkpoint(&name).await?;
        let cursor = match (&self.checkpoint, &self.watermark) {
            (Some(saved), Some(own)) if own.epoch == saved.cursor.epoch && own.after > saved.cursor.after => own.clone(),
            (Some(saved), _) => saved.cursor.clone(),
            (None, _) => self.first().await?,
        };
        let reader = self.engine.read_log(&self.context, &self.settings.interests, &cursor).await?;
        self.status.saved_at(self.checkpoint.as_ref().map_or(0, |saved| saved.cursor.after));
        note(&Happened::Began { sink: &name, watermark: cursor.after });
        self.move_to(cursor);
        self.go_on();
        Ok(reader)
    }

    /// Where a sink without a checkpoint begins; saved at once, so that `now` stays the moment at which it began.
    async fn first(&mut self) -> Result<Cursor, Pause> {
        let ends = self.engine.log_ends().await;
        let cursor = match self.settings.begin {
            Begin::First => ends.first,
            Begin::Now => ends.last,
        };
        self.checkpoint = Some(self.engine.save_checkpoint(&self.context, &self.settings.name, cursor.clone(), None).await?);
        Ok(cursor)
    }

    async fn next(&mut self, reader: &mut LogReader) -> Result<Stretch, Pause> {
        let (events_max, bytes_max) = (self.settings.pace.batch_events_max, self.settings.pace.batch_bytes_max);
        loop {
            let due = self.saved_at + self.settings.pace.save_every;
            let unsaved = self.is_unsaved();
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return Err(Pause::Stopped),
                () = sleep_until(due), if unsaved => self.save().await?,
                read = reader.next(events_max, bytes_max) => return read.map_err(|end| match end {
                    LogEnd::Closed(_) => Pause::Stopped,
                    LogEnd::Expired => Pause::Lost,
                    LogEnd::Failed(error) => error.into(),
                }),
            }
        }
    }

    async fn deliver(&mut self, stretch: Stretch) -> Result<(), Pause> {
        let epoch = &stretch.through.epoch;
        let batch: Vec<Delivery> = stretch.told.iter().filter_map(|told| self.form.delivery(epoch, told)).collect();
        let mut rest = batch.as_slice();
        while !rest.is_empty() {
            let ended = self.bounded_deliver(rest).await?;
            let delivered = match &ended {
                Ok(position) => Some(*position),
                Err(error) => error.delivered(),
            };
            let (before, error) = (rest.len(), ended.err());
            rest = self.advance(&stretch.through, rest, delivered);
            match error {
                None if rest.len() < before => self.go_on(),
                None => self.back_off("the target confirmed nothing").await?,
                Some(SinkError::Temporary { why, .. }) => self.back_off(&why).await?,
                Some(SinkError::ForGood { position, why, .. }) => rest = self.bury(&stretch.through, rest, position, &why).await?,
            }
        }
        self.move_to(stretch.through);
        Ok(())
    }

    async fn bounded_deliver(&mut self, batch: &[Delivery]) -> Result<Result<Position, SinkError>, Pause> {
        Ok(bounded(self.stop.clone(), self.settings.pace.stop_timeout, self.sink.deliver(batch)).await?)
    }

    /// Moves the watermark to what was confirmed; what is left of the batch.
    fn advance<'b>(&mut self, through: &Cursor, rest: &'b [Delivery], delivered: Option<Position>) -> &'b [Delivery] {
        let count = rest.iter().take_while(|one| delivered.is_some_and(|position| one.position <= position)).count();
        let (done, left) = rest.split_at(count);
        if let Some(last) = done.last() {
            self.status.delivered(count);
            self.move_to(Cursor { after: last.position.0.get(), ..through.clone() });
        }
        left
    }

    /// Puts the first of what is left where somebody will find it, and goes on after it.
    async fn bury<'b>(&mut self, through: &Cursor, rest: &'b [Delivery], position: Position, why: &str) -> Result<&'b [Delivery], Pause> {
        let Some((first, left)) = rest.split_first().filter(|(first, _)| first.position == position) else {
            self.back_off("the target refused an event that is not the next").await?;
            return Ok(rest);
        };
        loop {
            let letter = DeadLetter { sink: &self.settings.name, delivery: first, why };
            let buried = bounded(self.stop.clone(), self.settings.pace.stop_timeout, self.sink.bury(letter)).await?;
            let number = position.0.get();
            match buried {
                Ok(()) => {
                    self.status.health.buried();
                    note(&Happened::Buried { sink: &self.settings.name, position: number, why });
                    self.move_to(Cursor { after: number, ..through.clone() });
                    self.go_on();
                    return Ok(left);
                }
                Err(SinkError::Temporary { why, .. }) => self.back_off(&why).await?,
                Err(SinkError::ForGood { why: nowhere, .. }) => {
                    note(&Happened::Blocked { sink: &self.settings.name, position: number, why });
                    let why = format!("event {number} was refused ({why}), and cannot be buried: {nowhere}");
                    self.wait(ConnectorState::Blocked, &why).await?;
                    // The target may take it now.
                    return Ok(rest);
                }
            }
        }
    }

    fn move_to(&mut self, cursor: Cursor) {
        self.status.at(cursor.after);
        self.watermark = Some(cursor);
    }

    fn go_on(&mut self) {
        self.backoff.reset();
        let was = self.status.health.state();
        if self.status.health.set(ConnectorState::Running) && was != ConnectorState::Starting {
            note(&Happened::Recovered { sink: &self.settings.name });
        }
    }

    async fn back_off(&mut self, why: &str) -> Result<(), Pause> {
        note(&Happened::Failed { sink: &self.settings.name, why });
        self.wait(ConnectorState::BackingOff, why).await
    }

    async fn wait(&mut self, state: ConnectorState, why: &str) -> Result<(), Pause> {
        self.status.health.set(state);
        self.status.health.failed(why);
        let wait = sleep(self.backoff.after_failure());
        // Nothing moves meanwhile, so this is the time to save; where that fails too, the end of the wait tries it again.
        let _ = self.save().await;
        tokio::select! {
            biased;
            () = stopped(&mut self.stop) => Err(Pause::Stopped),
            () = wait => Ok(()),
        }
    }

    fn is_unsaved(&self) -> bool {
        self.watermark.as_ref().is_some_and(|watermark| self.checkpoint.as_ref().is_none_or(|saved| saved.cursor != *watermark))
    }

    /// Saves the watermark, where it has moved since it was saved.
    async fn save(&mut self) -> Result<(), Pause> {
        let Some(watermark) = self.watermark.clone().filter(|_| self.is_unsaved()) else { return Ok(()) };
        self.saved_at = Instant::now();
        let (name, last) = (Arc::clone(&self.settings.name), self.checkpoint.clone());
        match self.engine.save_checkpoint(&self.context, &name, watermark, last.as_ref()).await {
            Ok(saved) => {
                self.status.saved_at(saved.cursor.after);
                self.checkpoint = Some(saved);
                Ok(())
            }
            Err(error) => {
                if error.code == ErrorCode::FailedPrecondition {
                    // Whoever saved it decides where to go on.
                    self.watermark = None;
                }
                Err(error.into())
            }
        }
    }
}

/// What is under way, but no longer than so long after the end was asked for.
pub(crate) async fn bounded<T>(mut stop: watch::Receiver<bool>, timeout: Duration, work: impl Future<Output = T>) -> Result<T, Stopped> {
    if *stop.borrow() {
        return Err(Stopped);
    }
    let late = async {
        stopped(&mut stop).await;
        sleep(timeout).await;
    };
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = late => Err(Stopped),
    }
}

pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever could have stopped it is gone: so it is.
    let _ = stop.wait_for(|stop| *stop).await;
}
