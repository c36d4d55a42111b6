//! One publisher, many subscribers of one channel: ours over the WebSocket beside a bare fan-out, in one run.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::events::crowd::Crowd;
use crate::events::publisher::{Kind, Publisher};
use crate::events::{self, BOARD, socket};
use crate::server::{Place, Server};
use crate::{Failure, number};

/// Deliveries under way for each subscriber, when it goes as fast as it can, if nothing else is said.
const WINDOW: u64 = 24;
const MESSAGES_A_SECOND: u64 = 300;
/// Of so many subscribers one times its deliveries.
const TIMED_EVERY: usize = 20;
const TEXT: &str = "what is said to all who are here";

/// How fast.
#[derive(Clone, Copy)]
enum Pace {
    /// As fast as so many deliveries under way let it.
    Window(u64),
    /// So many messages a second.
    EverySecond(u64),
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
    let subscribers = usize::try_from(number(arguments, "--subscribers", 1_000)?)?;
    let time = Duration::from_secs(number(arguments, "--seconds", 4)?);
    let rounds = number(arguments, "--rounds", 3)?;
    let window = number(arguments, "--window", WINDOW)? * subscribers as u64;
    let place = events::place(arguments)?;
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
    events::save(&place, &text)
}

/// A server, its subscribers, and one publisher for a time; every delivery must have come at the end.
async fn measure(place: &Place, kind: Kind, subscribers: usize, pace: Pace, time: Duration) -> Result<Seen, Failure> {
    let server = match kind {
        Kind::Ours => Server::fourfold(place)?,
        Kind::Bare => Server::bare_fanout(place)?,
    };
    let empty = server.resident_mib()?;
    let crowd = gather(&server, kind, subscribers).await?;
    let idle_kib = (server.resident_mib()? - empty) * 1024.0 / subscribers as f64;
    let (cpu, start) = (server.cpu_micros()?, std::time::Instant::now());
    publish(Publisher::connect(&server, kind, TEXT).await?, &crowd, pace, time).await?;
    let deliveries = crowd.received() as f64;
    let seconds = start.elapsed().as_secs_f64();
    Ok(Seen {
        deliveries_a_core_second: deliveries / ((server.cpu_micros()? - cpu) / 1e6),
        deliveries_a_second: deliveries / seconds,
        p99_ms: crowd.p99_ms(),
        idle_kib,
    })
}

async fn gather(server: &Server, kind: Kind, subscribers: usize) -> Result<Crowd, Failure> {
    let mut crowd = Crowd::default();
    for number in 0..subscribers {
        let stream = TcpStream::connect(&server.authority).await?;
        let socket = match kind {
            Kind::Ours => socket::subscribe(server, stream, &[BOARD.to_owned()]).await?,
            Kind::Bare => {
                let mut socket = socket::open(server, stream).await?;
                socket::ask(&mut socket, &["subscribe".to_owned()]).await?;
                socket
            }
        };
        crowd.add_socket(number % TIMED_EVERY == 0, socket.into_inner());
    }
    Ok(crowd)
}

async fn publish(mut publisher: Publisher, crowd: &Crowd, pace: Pace, time: Duration) -> Result<(), Failure> {
    let start = tokio::time::Instant::now();
    while start.elapsed() < time {
        let published = publisher.published();
        match pace {
            Pace::Window(deliveries) => crowd.wait_for(((published + 1) * crowd.subscribers).saturating_sub(deliveries)).await?,
            Pace::EverySecond(messages) => {
                tokio::time::sleep_until(start + Duration::from_secs(1) * published as u32 / messages as u32).await
            }
        }
        publisher.publish(crowd.now_ns()).await?;
    }
    crowd.wait_for(publisher.published() * crowd.subscribers).await?;
    publisher.leave().await
}

fn median(mut seen: Vec<Seen>) -> Seen {
    seen.sort_by(|a, b| a.deliveries_a_core_second.total_cmp(&b.deliveries_a_core_second));
    let middle = seen.len() / 2;
    seen.swap_remove(middle)
}
