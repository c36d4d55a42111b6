//! What happens to sinks, as one closed list; it is written to the log here and nowhere else. Never a key or a value of a row.

/// Something that happened.
pub(crate) enum Happened<'a> {
    /// A sink begins to read after a position.
    Began { sink: &'a str, watermark: u64 },
    /// It goes on after failures.
    Recovered { sink: &'a str },
    /// It failed, and tries again.
    Failed { sink: &'a str, why: &'a str },
    /// An event was refused for good and buried.
    Buried { sink: &'a str, position: u64, why: &'a str },
    /// An event was refused for good and cannot be buried.
    Blocked { sink: &'a str, position: u64, why: &'a str },
    /// The log no longer has what comes next.
    Lost { sink: &'a str, watermark: u64 },
    /// It ended; how far it came is saved, or why not.
    Ended { sink: &'a str, watermark: u64, unsaved: Option<&'a str> },
}

/// Writes it to the log.
pub(crate) fn note(happened: &Happened<'_>) {
    match *happened {
        Happened::Began { sink, watermark } => tracing::info!(event = "sink_began", sink, watermark),
        Happened::Recovered { sink } => tracing::warn!(event = "sink_recovered", sink),
        Happened::Failed { sink, why } => tracing::warn!(event = "sink_failed", sink, why),
        Happened::Buried { sink, position, why } => tracing::warn!(event = "dead_letter", sink, position, why),
        Happened::Blocked { sink, position, why } => tracing::error!(event = "sink_blocked", sink, position, why),
        Happened::Lost { sink, watermark } => tracing::error!(event = "sink_lost", sink, watermark),
        Happened::Ended { sink, watermark, unsaved: None } => tracing::info!(event = "sink_ended", sink, watermark),
        Happened::Ended { sink, watermark, unsaved: Some(why) } => tracing::warn!(event = "sink_unsaved", sink, watermark, why),
    }
}
