//! What happens to sinks and sources, as one closed list; it is written to the log here and nowhere else. Never a key or a value of a row.

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
    /// A source begins.
    SourceBegan { source: &'a str },
    /// It goes on after failures.
    SourceRecovered { source: &'a str },
    /// It failed, and tries again.
    SourceFailed { source: &'a str, why: &'a str },
    /// A message was refused for good and buried; why is in the letter, for it may quote the message.
    SourceBuried { source: &'a str, partition: i32, offset: u64, code: &'a str },
    /// A message was refused for good and cannot be buried.
    SourceBlocked { source: &'a str, partition: i32, offset: u64, code: &'a str },
    /// What it was to read next is gone.
    SourceLost { source: &'a str, why: &'a str },
    /// It ended.
    SourceEnded { source: &'a str },
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
        Happened::SourceBegan { source } => tracing::info!(event = "source_began", source),
        Happened::SourceRecovered { source } => tracing::warn!(event = "source_recovered", source),
        Happened::SourceFailed { source, why } => tracing::warn!(event = "source_failed", source, why),
        Happened::SourceBuried { source, partition, offset, code } => {
            tracing::warn!(event = "dead_message", source, partition, offset, code);
        }
        Happened::SourceBlocked { source, partition, offset, code } => {
            tracing::error!(event = "source_blocked", source, partition, offset, code);
        }
        Happened::SourceLost { source, why } => tracing::error!(event = "source_lost", source, why),
        Happened::SourceEnded { source } => tracing::info!(event = "source_ended", source),
    }
}
