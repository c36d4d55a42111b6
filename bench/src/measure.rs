//! The whole comparison: start, drive, record, print.

mod ingest;
mod jobs;
mod messages;
mod table;

use std::time::Duration;

use crate::server::{self, Place, Server, Static};
use crate::{Failure, load, number, option, required};
use jobs::{Job, Target};
use table::{Line, Table};

/// What the command line said.
pub struct Settings {
    place: Place,
    time: Duration,
    rounds: u64,
    rows: u64,
    only: Option<String>,
}

impl Settings {
    fn read(arguments: &[&str]) -> Result<Settings, Failure> {
        Ok(Settings {
            place: Place::new(
                required(arguments, "--binary")?,
                required(arguments, "--model")?.into(),
                required(arguments, "--out")?.into(),
            ),
            time: Duration::from_secs(number(arguments, "--seconds", 4)?),
            rounds: number(arguments, "--rounds", 3)?,
            rows: number(arguments, "--rows", 100_000)?,
            only: option(arguments, "--only").map(str::to_owned),
        })
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }
}

/// Runs it all and saves the table beside what it prints.
pub fn run(arguments: &[&str]) -> Result<(), Failure> {
    let settings = Settings::read(arguments)?;
    server::pin_self();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let table = runtime.block_on(measure(&settings))?;
    let text = table.to_string();
    println!("{text}");
    let file = settings.place.out.join("table.md");
    std::fs::write(&file, text)?;
    println!("saved to {}", file.display());
    Ok(())
}

async fn measure(settings: &Settings) -> Result<Table, Failure> {
    let _ = std::fs::remove_dir_all(&settings.place.out);
    std::fs::create_dir_all(&settings.place.out)?;
    let mut table = Table::default();
    let Static { server: fourfold, notes } = Static::of(&settings.place, Server::fourfold(&settings.place)?).await?;
    table.notes = notes;
    let sql = Server::baseline(&settings.place, "sql")?;
    let tonic = Server::baseline(&settings.place, "tonic")?;
    let bytes = Server::baseline(&settings.place, "bytes")?;
    let messages = messages::Messages::fetch(&fourfold, &server::package(&settings.place.model)?).await?;
    for job in jobs::all(&fourfold, &messages) {
        if settings.wants(job.name) {
            let baseline = match job.baseline {
                Some(Target::Sql(_)) => Some(&sql),
                Some(Target::Tonic(_)) => Some(&tonic),
                None => None,
            };
            table.lines.extend(compare(settings, &job, &fourfold, baseline, &bytes).await?);
        }
    }
    table.lines.extend(ingest::compare(settings, &messages, [&fourfold, &sql, &tonic]).await?);
    Ok(table)
}

/// One job: ours, its baseline and the bare bytes in turn, `rounds` times; the median of each.
async fn compare(settings: &Settings, job: &Job, ours: &Server, baseline: Option<&Server>, bytes: &Server) -> Result<Vec<Line>, Failure> {
    println!("{} …", job.name);
    let bare = job.give(ours, bytes).await?;
    let mut lines = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..settings.rounds {
        lines[0].push(drive(settings, &job.ours, job.callers, ours).await?);
        if let (Some(target), Some(server)) = (&job.baseline, baseline) {
            lines[1].push(drive(settings, target.call(), job.callers, server).await?);
        }
        if let Some(call) = &bare {
            lines[2].push(drive(settings, call, job.callers, bytes).await?);
        }
    }
    let [ours, baseline, bare] = lines.map(median);
    Ok(Line::of(job.name, ours, baseline, bare))
}

async fn drive(settings: &Settings, call: &jobs::Call, callers: usize, server: &Server) -> Result<load::Seen, Failure> {
    load::run(callers, settings.time, || server.cpu_micros(), |shared| call.start(server.authority.clone(), shared)).await
}

fn median(mut seen: Vec<load::Seen>) -> Option<load::Seen> {
    seen.sort_by(|a, b| a.cpu_per_request().total_cmp(&b.cpu_per_request()));
    (!seen.is_empty()).then(|| seen[seen.len() / 2])
}
