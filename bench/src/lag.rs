//! From a commit to its subscribers, at 70 % of the write load that the machine holds.

mod listen;
mod load;

use std::time::Duration;

use crate::events::crowd::{Crowd, Heard};
use crate::events::{self, percentile};
use crate::server::{Place, Server};
use crate::{Failure, number};
use listen::Api;
use load::{Load, Written};

/// Connections that write as fast as they are answered.
const CALLERS: usize = 64;
/// Writes whose deliveries are under way at once: below what waits for one subscriber at most.
const WINDOW: u64 = 512;
const SHARE: f64 = 0.7;
const P99_MAX_MS: f64 = 5.0;

/// What was seen over one API with so many subscribers.
struct Seen {
    held_a_second: f64,
    written_a_second: f64,
    cpu_share: f64,
    /// p50 and p99 of the time to a delivery, in ms: since the write was sent, and since it was answered.
    since_sent: [f64; 2],
    since_answered: [f64; 2],
}

/// Runs it and prints and saves a table.
pub fn run(arguments: &[&str]) -> Result<(), Failure> {
    let many = usize::try_from(number(arguments, "--subscribers", 100)?)?;
    let time = Duration::from_secs(number(arguments, "--seconds", 4)?);
    let place = events::place(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut text = format!(
        "{CALLERS} connections write rows one by one over REST, each durable when it is answered; then as many a second as {:.0} % of that\n\n| subscribers | writes/s held | writes/s measured | server's core | sent → delivered, p50 · p99 ms | answered → delivered, p50 · p99 ms | wanted p99 |\n|---|--:|--:|--:|--:|--:|--:|\n",
        SHARE * 100.0
    );
    let alone = runtime.block_on(alone(&place, time))?;
    text += &format!("| none | {alone:.0} | | | | | |\n");
    for subscribers in [1, many] {
        for api in [Api::WebSocket, Api::Sse, Api::Grpc] {
            println!("lag, {subscribers} over {} …", api.name());
            let seen = runtime.block_on(measure(&place, api, subscribers, time))?;
            text += &seen.line(&format!("{subscribers}, {}", api.name()));
        }
    }
    events::save(&place, &text)
}

impl Seen {
    fn line(&self, name: &str) -> String {
        let ms = |[half, most]: [f64; 2]| format!("{half:.2} · {most:.2}");
        format!(
            "| {name} | {:.0} | {:.0} | {:.0} % | {} | {} | ≤ {P99_MAX_MS} |\n",
            self.held_a_second,
            self.written_a_second,
            self.cpu_share * 100.0,
            ms(self.since_sent),
            ms(self.since_answered)
        )
    }
}

/// A server without rows.
fn empty(place: &Place) -> Result<Server, Failure> {
    let _ = std::fs::remove_dir_all(place.out.join("data"));
    Server::fourfold(place)
}

/// Writes a second that the machine holds when nobody subscribes.
async fn alone(place: &Place, time: Duration) -> Result<f64, Failure> {
    println!("lag, writing alone …");
    let server = empty(place)?;
    Load::new(&server, &Crowd::default()).as_fast_as_it_can(CALLERS, time / 2).await
}

/// The most that it holds with these subscribers, then the measured share of it.
async fn measure(place: &Place, api: Api, subscribers: usize, time: Duration) -> Result<Seen, Failure> {
    let server = empty(place)?;
    let mut crowd = Crowd::default();
    for _ in 0..subscribers {
        listen::subscribe(api, &server, &mut crowd).await?;
    }
    let mut load = Load::new(&server, &crowd);
    let held_a_second = load.as_fast_as_it_can(CALLERS, time / 2).await?;
    crowd.take_heard();
    let cpu = server.cpu_micros()?;
    let start = std::time::Instant::now();
    let written = load.every_second(held_a_second * SHARE, time).await?;
    let seconds = start.elapsed().as_secs_f64();
    let [since_sent, since_answered] = since(&written, &crowd.take_heard())?;
    Ok(Seen {
        held_a_second,
        written_a_second: written.len() as f64 / seconds,
        cpu_share: (server.cpu_micros()? - cpu) / 1e6 / seconds,
        since_sent,
        since_answered,
    })
}

/// p50 and p99, in ms, of the times from sending and from the answer to each delivery, which may come before the answer.
fn since(written: &[Written], heard: &[Heard]) -> Result<[[f64; 2]; 2], Failure> {
    let first = written.iter().map(|written| written.number).min().ok_or("nothing was written")?;
    let mut times: Vec<Option<Written>> = vec![None; written.len()];
    for written in written {
        if let Some(place) = times.get_mut((written.number - first) as usize) {
            *place = Some(*written);
        }
    }
    let (mut sent, mut answered) = (Vec::new(), Vec::new());
    for heard in heard {
        let of = heard.number.checked_sub(first).and_then(|at| times.get(at as usize).copied().flatten());
        let written = of.ok_or_else(|| format!("row {} was delivered and not written", heard.number))?;
        sent.push(heard.at_ns as i64 - written.sent_ns as i64);
        answered.push(heard.at_ns as i64 - written.answered_ns as i64);
    }
    Ok([sent, answered].map(|mut times| [50, 99].map(|percent| percentile(&mut times, percent).map_or(f64::NAN, |ns| ns as f64 / 1e6))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_from_the_write_that_was_delivered() {
        let write = |number, sent_ns, answered_ns| Written { number, sent_ns, answered_ns };
        let written = [write(8, 2_000_000, 9_000_000), write(7, 1_000_000, 5_000_000)];
        let heard = [Heard { number: 7, at_ns: 4_000_000 }, Heard { number: 8, at_ns: 8_000_000 }];
        assert_eq!(since(&written, &heard).unwrap(), [[6.0, 6.0], [-1.0, -1.0]]);
        assert!(since(&written, &[Heard { number: 9, at_ns: 0 }]).is_err());
    }
}
