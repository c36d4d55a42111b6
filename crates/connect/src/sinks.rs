//! The sinks of a server, each on a task of its own.

use std::sync::Arc;

use fourfold_engine::Engine;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::health::ConnectorState;
use crate::run::Task;
use crate::settings::SinkSettings;
use crate::sink::Sink;
use crate::status::{SinkFigures, Status};

/// A sink that can begin.
pub struct Opened {
    /// What it is set to.
    pub settings: SinkSettings,
    /// What delivers.
    pub sink: Box<dyn Sink>,
}

/// Sinks that run. Dropping them ends them without waiting; [`Sinks::stop`] is the way that saves.
pub struct Sinks {
    statuses: Vec<Arc<Status>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    stop: watch::Sender<bool>,
}

impl Default for Sinks {
    /// None.
    fn default() -> Sinks {
        Sinks { statuses: Vec::new(), tasks: Mutex::default(), stop: watch::Sender::new(false) }
    }
}

impl Sinks {
    /// Starts them over an engine.
    pub fn start(engine: &Arc<Engine>, sinks: Vec<Opened>) -> Sinks {
        let stop = watch::Sender::new(false);
        let (mut statuses, mut tasks) = (Vec::new(), Vec::new());
        for Opened { settings, sink } in sinks {
            let status = Arc::new(Status::new(Arc::clone(&settings.name), Arc::clone(&settings.kind)));
            let task = Task::new(Arc::clone(engine), settings, sink, Arc::clone(&status), stop.subscribe());
            tasks.push(tokio::spawn(watched(task, Arc::clone(&status))));
            statuses.push(status);
        }
        Sinks { statuses, tasks: Mutex::new(tasks), stop }
    }

    /// Ends them all: what is under way has its time, then how far each came is saved.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            // A task that panicked has told so.
            let _ = task.await;
        }
    }

    /// Each at this moment.
    pub fn figures(&self) -> Vec<SinkFigures> {
        self.statuses.iter().map(|status| status.figures()).collect()
    }

    /// The position beyond which the log is still to be read by one of them; `None`: by none.
    pub fn hold(&self) -> Option<u64> {
        self.statuses.iter().filter_map(|status| status.holds()).min()
    }
}

async fn watched(task: Task, status: Arc<Status>) {
    if tokio::spawn(task.run()).await.is_err() {
        status.health.failed("its task panicked");
        status.health.set(ConnectorState::Blocked);
    }
}
