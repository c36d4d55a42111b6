//! The table that is printed and saved.

use std::fmt;

use crate::load::Seen;

/// All lines, and what was measured once.
#[derive(Default)]
pub struct Table {
    pub notes: Vec<String>,
    pub lines: Vec<Line>,
}

/// One server at one job.
pub struct Line {
    job: String,
    server: &'static str,
    seen: Seen,
    /// Baseline ÷ ours in CPU time a request; for our own line against the main baseline.
    ratio: Option<f64>,
}

impl Line {
    /// The lines of one job: ours first, with its ratio.
    pub fn of(job: &str, ours: Option<Seen>, baseline: Option<Seen>, bare: Option<Seen>) -> Vec<Line> {
        let ratio = ours.zip(baseline).map(|(ours, baseline)| baseline.cpu_per_request() / ours.cpu_per_request());
        let line = |server, seen, ratio| Line { job: job.to_owned(), server, seen, ratio };
        let lines = [
            ours.map(|seen| line("fourfold", seen, ratio)),
            baseline.map(|seen| line("by hand", seen, None)),
            bare.map(|seen| line("bytes alone", seen, None)),
        ];
        lines.into_iter().flatten().collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(out, "- {note}")?;
        }
        writeln!(out, "\n| job | server | CPU µs a request | requests/s | bytes a request | baseline ÷ ours |\n|---|---|--:|--:|--:|--:|")?;
        for Line { job, server, seen, ratio } in &self.lines {
            let count = seen.answered.max(1) as f64;
            let ratio = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
            let (cpu, rate, bytes) = (seen.cpu_per_request(), count / seen.seconds, seen.bytes as f64 / count);
            writeln!(out, "| {job} | {server} | {cpu:.2} | {rate:.0} | {bytes:.0} | {ratio} |")?;
        }
        Ok(())
    }
}
