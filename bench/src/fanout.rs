//! One publisher, many subscribers of one channel: ours over the WebSocket beside a bare fan-out, in one run.

mod crowd;
mod publisher;

use std::time::Duration;

use crate::server::{self, Place, Server};
use crate::{Failure, number, required};
use crowd::Crowd;
use publisher::Pace;

const MODEL: &str = r#"package fan.v1

caller { id String? @claim("sub") }

entity Note {
  id   Int    @key
  text String
  @@allow(read, create, caller.id != null)
}

channel board(name: String) {
  @join(name == "public")
  @publish(caller.id != null)
}
"#;
/// Deliveries under way for each subscriber, when it goes as fast as it can, if nothing else is said.
const WINDOW: u64 = 32;
const MESSAGES_A_SECOND: u64 = 300;

/// Whose sockets these are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ours,
    Bare,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Ours => "fourfold",
            Kind::Bare => "by hand",
        }
    }
}

/// What was seen of one server at one pace.
struct Seen {
    deliveries_a_core_second: f64,
    deliveries_a_second: f64,
    p99_ms: f64,
    idle_kib: f64,
}

/// Runs it and prints and saves a table.
pub fn run(arguments: &[&str]) -> Result<(), Failure> {
    let place = Place {
        binary: required(arguments, "--binary")?.into(),
        model: required(arguments, "--out")?.into(),
        out: required(arguments, "--out")?.into(),
    };
    let subscribers = usize::try_from(number(arguments, "--subscribers", 1_000)?)?;
    let time = Duration::from_secs(number(arguments, "--seconds", 4)?);
    let rounds = number(arguments, "--rounds", 3)?;
    let window = number(arguments, "--window", WINDOW)? * subscribers as u64;
    let _ = std::fs::remove_dir_all(&place.out);
    std::fs::create_dir_all(&place.out)?;
    std::fs::write(place.model.join("fan.fourfold"), MODEL)?;
    server::pin_self();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut text = format!(
        "{subscribers} subscribers of one channel\n\n| pace | server | deliveries/s a core | deliveries/s | p99 ms | KiB an idle subscriber | ours ÷ by hand |\n|---|---|--:|--:|--:|--:|--:|\n"
    );
    for (name, pace) in [("as fast as it can", Pace::Window(window)), ("300 messages/s", Pace::EverySecond(MESSAGES_A_SECOND))] {
        let mut seen = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (kind, seen) in [Kind::Ours, Kind::Bare].into_iter().zip(&mut seen) {
                println!("{name}, {} …", kind.name());
                seen.push(runtime.block_on(measure(&place, kind, subscribers, pace, time))?);
            }
        }
        let [ours, bare] = seen.map(median);
        let ratio = format!("{:.2}", ours.deliveries_a_core_second / bare.deliveries_a_core_second);
        for (kind, seen, ratio) in [(Kind::Ours, ours, ratio), (Kind::Bare, bare, String::new())] {
            text += &format!(
                "| {name} | {} | {:.0} | {:.0} | {:.1} | {:.1} | {ratio} |\n",
                kind.name(),
                seen.deliveries_a_core_second,
                seen.deliveries_a_second,
                seen.p99_ms,
                seen.idle_kib
            );
        }
    }
    println!("{text}");
    let file = place.out.join("fanout.md");
    std::fs::write(&file, text)?;
    println!("saved to {}", file.display());
    Ok(())
}

/// A server, its subscribers, and one publisher for a time; every delivery must have come at the end.
async fn measure(place: &Place, kind: Kind, subscribers: usize, pace: Pace, time: Duration) -> Result<Seen, Failure> {
    let server = match kind {
        Kind::Ours => Server::fourfold(place)?,
        Kind::Bare => Server::bare_fanout(place)?,
    };
    let empty = server.resident_mib()?;
    let crowd = Crowd::gather(&server, kind, subscribers).await?;
    let idle_kib = (server.resident_mib()? - empty) * 1024.0 / subscribers as f64;
    let (cpu, start) = (server.cpu_micros()?, std::time::Instant::now());
    publisher::publish(&server, kind, &crowd, pace, time).await?;
    let deliveries = crowd.received() as f64;
    let seconds = start.elapsed().as_secs_f64();
    Ok(Seen {
        deliveries_a_core_second: deliveries / ((server.cpu_micros()? - cpu) / 1e6),
        deliveries_a_second: deliveries / seconds,
        p99_ms: crowd.p99_ms(),
        idle_kib,
    })
}

fn median(mut seen: Vec<Seen>) -> Seen {
    seen.sort_by(|a, b| a.deliveries_a_core_second.total_cmp(&b.deliveries_a_core_second));
    let middle = seen.len() / 2;
    seen.swap_remove(middle)
}
