//! The sources of an engine, each a task of its own.

use std::sync::Arc;

use fourfold_engine::Engine;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::health::ConnectorState;
use crate::intake::Intake;
use crate::settings::SourceSettings;
use crate::source::Source;
use crate::source_status::{SourceFigures, SourceStatus};

/// A source that is to run.
pub struct OpenedSource {
    /// What it is set to.
    pub settings: SourceSettings,
    /// What brings its messages.
    pub source: Box<dyn Source>,
}

/// Sources that run. Dropping them ends them without waiting.
pub struct Sources {
    statuses: Vec<Arc<SourceStatus>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    stop: watch::Sender<bool>,
}

impl Default for Sources {
    /// None.
    fn default() -> Sources {
        Sources { statuses: Vec::new(), tasks: Mutex::default(), stop: watch::Sender::new(false) }
    }
}

impl Sources {
    /// Starts them over an engine.
    pub fn start(engine: &Arc<Engine>, sources: Vec<OpenedSource>) -> Sources {
        let stop = watch::Sender::new(false);
        let (mut statuses, mut tasks) = (Vec::new(), Vec::new());
        for OpenedSource { settings, source } in sources {
            let status = Arc::new(SourceStatus::new(Arc::clone(&settings.name), Arc::clone(&settings.kind)));
            let task = Intake::new(Arc::clone(engine), settings, source, Arc::clone(&status), stop.subscribe());
            tasks.push(tokio::spawn(watched(task, Arc::clone(&status))));
            statuses.push(status);
        }
        Sources { statuses, tasks: Mutex::new(tasks), stop }
    }

    /// Ends them all; what is under way has its time.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            // A task that panicked has told so.
            let _ = task.await;
        }
    }

    /// Each at this moment.
    pub fn figures(&self) -> Vec<SourceFigures> {
        self.statuses.iter().map(|status| status.figures()).collect()
    }
}

async fn watched(task: Intake, status: Arc<SourceStatus>) {
    if tokio::spawn(task.run()).await.is_err() {
        status.health.failed("its task panicked");
        status.health.set(ConnectorState::Blocked);
    }
}
