//! Sockets that subscribe and never read, beside some that do: what they cost the server's memory and the others' time, how they
//! end, and whether they can go on.

mod flow;
mod sleeper;

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::events::{self, BOARD, NOTES, median, socket};
use crate::server::Server;
use crate::{Failure, number};
use flow::Flow;
use sleeper::{Sleeper, Woken};

/// Publications a second, and rows a second.
const EVERY_SECOND: u64 = 100;
/// Bytes of the text of each: what waits then overflows a queue before the server gives up writing.
const TEXT_BYTES: usize = 2_000;
/// In this time the pipes of those that do not read fill up; it is not measured.
const FILL: Duration = Duration::from_secs(3);
/// When some of them read again, before the server has given up writing to them: they must be told that they were slow.
const WAKE: Duration = Duration::from_secs(8);
/// One of so many reads again then, and one of so many goes on from where it was.
const WOKEN_EVERY: usize = 20;
const RESUMED_EVERY: usize = 20;
/// The code of a reader that is too slow.
const SLOW: u16 = 3008;
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Files that the server may have opened meanwhile.
const FILES_MORE: usize = 16;
const ENDED_WITHIN: Duration = Duration::from_secs(25);
const GROWTH_MAX_MIB: f64 = 300.0;
const RATIO_MAX: f64 = 1.1;

/// How many of whom.
#[derive(Clone, Copy)]
struct Sizes {
    stalled: usize,
    healthy: usize,
    time: Duration,
}

/// What was seen in one round.
struct Seen {
    /// Without those that stall, while they do, and while they are ended.
    phases: [Phase; 3],
    peak_mib: f64,
    ended_after: Duration,
    /// How many read before their end, and were told that they were slow.
    early: usize,
    /// How many went on.
    resumed: usize,
}

/// What was seen for a time.
#[derive(Clone, Copy)]
struct Phase {
    /// p99 of a publication and of a row, in ms.
    p99_ms: [f64; 2],
    /// How much of its core the server took.
    core: f64,
}

/// Runs it and prints and saves a table.
pub fn run(arguments: &[&str]) -> Result<(), Failure> {
    let sizes = Sizes {
        stalled: usize::try_from(number(arguments, "--stalled", 1_000)?)?,
        healthy: usize::try_from(number(arguments, "--healthy", 400)?)?,
        time: Duration::from_secs(number(arguments, "--seconds", 4)?),
    };
    let rounds = number(arguments, "--rounds", 3)?;
    let place = events::place(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (before_mib, seen) = runtime.block_on(async {
        let server = Server::fourfold(&place)?;
        let before_mib = server.resident_mib()?;
        let (mut seen, mut rows) = (Vec::new(), 0);
        for at in 1..=rounds {
            println!("stalled, round {at} …");
            seen.push(round(&server, sizes, &mut rows).await?);
        }
        Ok::<_, Failure>((before_mib, seen))
    })?;
    events::save(&place, &table(sizes, before_mib, &seen))
}

/// The same flow: without those that stall, with them, and until the server has ended each.
async fn round(server: &Server, sizes: Sizes, rows: &mut u64) -> Result<Seen, Failure> {
    let mut flow = Flow::begin(server, sizes.healthy, *rows).await?;
    let (without, ()) = phase(server, &mut flow, pause(sizes.time)).await?;
    let others = Others { files: server.open_files()?, sockets: server.open_sockets()? };
    let mut sleepers = Vec::new();
    for _ in 0..sizes.stalled {
        sleepers.push(Sleeper::subscribe(server).await?);
    }
    let start = Instant::now();
    flow.until(pause(FILL)).await?;
    flow.p99_ms();
    let (stalled, before_mib) = phase(server, &mut flow, peak(server, WAKE - FILL)).await?;
    let some = sleepers.split_off(sleepers.len() - (sleepers.len() / WOKEN_EVERY).max(1));
    let waking = some.into_iter().map(|sleeper| tokio::spawn(sleeper.wake(true))).collect();
    let (ended, end_mib) = phase(server, &mut flow, all_ended(server, others, start)).await?;
    let ended_after = start.elapsed();
    *rows = flow.end().await?;
    let woken = all_awake(waking, sleepers).await?;
    let resumed = resume(server, &woken).await?;
    Ok(Seen { phases: [without, stalled, ended], peak_mib: before_mib.max(end_mib), ended_after, early: early(&woken)?, resumed })
}

/// Lets it flow until something has come to its end.
async fn phase<T>(server: &Server, flow: &mut Flow, end: impl Future<Output = Result<T, Failure>>) -> Result<(Phase, T), Failure> {
    let (cpu, start) = (server.cpu_micros()?, Instant::now());
    let ended = flow.until(end).await?;
    let core = (server.cpu_micros()? - cpu) / start.elapsed().as_micros() as f64;
    Ok((Phase { p99_ms: flow.p99_ms(), core }, ended))
}

async fn pause(time: Duration) -> Result<(), Failure> {
    tokio::time::sleep(time).await;
    Ok(())
}

/// The most memory in a time, in MiB.
async fn peak(server: &Server, time: Duration) -> Result<f64, Failure> {
    let (start, mut peak_mib) = (Instant::now(), 0.0_f64);
    while start.elapsed() < time {
        peak_mib = peak_mib.max(server.resident_mib()?);
        pause(LOOK_EVERY).await?;
    }
    Ok(peak_mib)
}

/// What the server has open beside those that stall.
#[derive(Clone, Copy)]
struct Others {
    files: usize,
    sockets: usize,
}

/// Waits until the server has ended all that stall; the most memory meanwhile, in MiB.
async fn all_ended(server: &Server, others: Others, start: Instant) -> Result<f64, Failure> {
    let mut peak_mib = 0.0_f64;
    while start.elapsed() < ENDED_WITHIN {
        peak_mib = peak_mib.max(server.resident_mib()?);
        // Its files may be some more by now; which are sockets is looked at when few are left.
        if server.open_files()? <= others.files + FILES_MORE && server.open_sockets()? <= others.sockets {
            return Ok(peak_mib);
        }
        pause(LOOK_EVERY).await?;
    }
    let open = server.open_sockets()?.saturating_sub(others.sockets);
    Err(format!("{open} stalled sockets are open after {} s; the server has {peak_mib:.0} MiB", ENDED_WITHIN.as_secs()).into())
}

/// Those that read again.
type Waking = Vec<JoinHandle<Result<Woken, Failure>>>;

async fn all_awake(waking: Waking, sleepers: Vec<Sleeper>) -> Result<Vec<Woken>, Failure> {
    let mut woken = Vec::new();
    for waking in waking {
        woken.push(waking.await??);
    }
    for sleeper in sleepers {
        woken.push(sleeper.wake(false).await?);
    }
    Ok(woken)
}

/// How many read before their end; each must have been told that it was slow.
fn early(woken: &[Woken]) -> Result<usize, Failure> {
    let early = woken.iter().filter(|woken| woken.was_early);
    let (all, told) = (early.clone().count(), early.filter(|woken| woken.code == Some(SLOW)).count());
    if all == told && all > 0 { Ok(all) } else { Err(format!("of {all} stalled sockets that read again, {told} were told {SLOW}").into()) }
}

/// Lets some go on from where they were; how many. Each must be told what it missed, and nothing twice.
async fn resume(server: &Server, woken: &[Woken]) -> Result<usize, Failure> {
    let head = head(server).await?;
    let some = woken.iter().step_by(RESUMED_EVERY);
    for woken in some.clone() {
        woken.resume(server, head).await?;
    }
    Ok(some.count())
}

/// The last position of the log.
async fn head(server: &Server) -> Result<u64, Failure> {
    use crate::load::http1;
    let request = http1::request("GET", "/v1/notes?page_size=1&fields=id", "", "", Some(&server.token));
    let body: serde_json::Value = serde_json::from_slice(&http1::once(&server.authority, &request).await?)?;
    let cursor = body["cursor"].as_str().and_then(|cursor| cursor.rsplit_once('.')).ok_or("a list without a cursor")?;
    Ok(cursor.1.parse()?)
}

/// The subscribers that read: a crowd of half of them for publications, one of the other half for rows.
async fn healthy(server: &Server, channel: &str, subscribers: usize) -> Result<events::crowd::Crowd, Failure> {
    let mut crowd = events::crowd::Crowd::default();
    for _ in 0..subscribers {
        let stream = TcpStream::connect(&server.authority).await?;
        crowd.add_socket(true, socket::subscribe(server, stream, &[channel.to_owned()]).await?.into_inner());
    }
    Ok(crowd)
}

impl Seen {
    fn p99_ms(&self, phase: usize, of: usize) -> f64 {
        self.phases[phase].p99_ms[of]
    }
}

fn table(sizes: Sizes, before_mib: f64, seen: &[Seen]) -> String {
    let mut text = format!(
        "{} sockets that subscribe to `{BOARD}` and `{NOTES}` and never read, beside {} that do; {EVERY_SECOND} publications and {EVERY_SECOND} rows a second, of {TEXT_BYTES} bytes\n\n| the {} that read | without | while they stall | while they are ended | stall ÷ without | wanted |\n|---|--:|--:|--:|--:|--:|\n",
        sizes.stalled, sizes.healthy, sizes.healthy
    );
    for (at, name) in ["a publication", "a row"].into_iter().enumerate() {
        let of = |value: fn(&Seen, usize) -> f64| median(seen.iter().map(|seen| value(seen, at)).collect());
        let p99 = [of(|seen, at| seen.p99_ms(0, at)), of(|seen, at| seen.p99_ms(1, at)), of(|seen, at| seen.p99_ms(2, at))];
        let ratio = of(|seen, at| seen.p99_ms(1, at) / seen.p99_ms(0, at));
        text += &format!("| p99 of {name}, ms | {:.2} | {:.2} | {:.2} | {ratio:.2} | < {RATIO_MAX} |\n", p99[0], p99[1], p99[2]);
    }
    let core = [0, 1, 2].map(|phase: usize| median(seen.iter().map(|seen| seen.phases[phase].core * 100.0).collect()));
    text += &format!("| the server's core, % | {:.0} | {:.0} | {:.0} | | |\n", core[0], core[1], core[2]);
    let growth = seen.iter().map(|seen| seen.peak_mib).fold(0.0, f64::max) - before_mib;
    let ended = median(seen.iter().map(|seen| seen.ended_after.as_secs_f64()).collect());
    let sum = |value: fn(&Seen) -> usize| seen.iter().map(value).sum::<usize>();
    text += &format!("\n| | | wanted |\n|---|--:|--:|\n| the server grew by, MiB | {growth:.0} | < {GROWTH_MAX_MIB} |\n");
    text += &format!("| all that stalled were ended after, s | {ended:.1} | < {} |\n", ENDED_WITHIN.as_secs());
    text += &format!("| that read again before, told {SLOW} | {0} | {0} |\n", sum(|seen| seen.early));
    text += &format!("| went on from where they were, nothing missed or doubled | {0} | {0} |\n", sum(|seen| seen.resumed));
    text
}
