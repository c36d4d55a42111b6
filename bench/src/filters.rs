//! Ten thousand subscribers with as many filters, beside a hundred: what an event costs the server that concerns one of them.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::events::crowd::Crowd;
use crate::events::writer::Writer;
use crate::events::{self, median, socket};
use crate::server::Server;
use crate::{Failure, number};

/// Over so many sockets in every case, so that it is filters that are compared.
const SOCKETS: usize = 100;
/// Rows in one commit: each concerns another socket.
const ROWS: u64 = 100;
const FEW: usize = 100;
const RATIO_MAX: f64 = 2.0;

/// What was seen with so many filters.
struct Seen {
    cpu_micros: f64,
    events_a_second: f64,
    kib_each: f64,
}

/// Runs it and prints and saves a table.
pub fn run(arguments: &[&str]) -> Result<(), Failure> {
    let many = usize::try_from(number(arguments, "--filters", 10_000)?)?;
    let time = Duration::from_secs(number(arguments, "--seconds", 4)?);
    let rounds = number(arguments, "--rounds", 3)?;
    let place = events::place(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let cases = [0, FEW, many];
    let seen = runtime.block_on(async {
        let (mut seen, mut rows) = ([const { Vec::new() }; 3], 0);
        for _ in 0..rounds {
            for (filters, seen) in cases.into_iter().zip(&mut seen) {
                println!("filters, {filters} …");
                seen.push(measure(&Server::fourfold(&place)?, filters, time, &mut rows).await?);
            }
        }
        Ok::<_, Failure>(seen)
    })?;
    events::save(&place, &table(cases, &seen))
}

/// Subscribes them, and writes for a time. Every row concerns one of them, and must have come to it.
async fn measure(server: &Server, filters: usize, time: Duration, rows: &mut u64) -> Result<Seen, Failure> {
    let empty = server.resident_mib()?;
    let crowd = gather(server, filters).await?;
    let kib_each = (server.resident_mib()? - empty) * 1024.0 / filters.max(1) as f64;
    let mut writer = Writer::connect(server).await?;
    let (cpu, start, first) = (server.cpu_micros()?, Instant::now(), *rows);
    while start.elapsed() < time {
        let customers = if filters > 0 { filters } else { FEW } as u64;
        writer.create_all((*rows..*rows + ROWS).map(|id| (id, id % customers))).await?;
        *rows += ROWS;
        if filters > 0 {
            crowd.wait_for((*rows - first).saturating_sub(ROWS)).await?;
        }
    }
    let written = *rows - first;
    if filters > 0 {
        crowd.wait_for(written).await?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let cpu_micros = (server.cpu_micros()? - cpu) / written as f64;
    if crowd.received() > written {
        return Err(format!("{} deliveries of {written} events came", crowd.received()).into());
    }
    Ok(Seen { cpu_micros, events_a_second: written as f64 / seconds, kib_each })
}

/// The sockets, each with its part of the filters.
async fn gather(server: &Server, filters: usize) -> Result<Crowd, Failure> {
    let mut crowd = Crowd::default();
    for at in 0..SOCKETS.min(filters) {
        let customers = (0..filters).skip(at).step_by(SOCKETS);
        let channels: Vec<String> = customers.map(|customer| format!("notes?customer={customer}&fields=text")).collect();
        let stream = TcpStream::connect(&server.authority).await?;
        crowd.add_socket(false, socket::subscribe(server, stream, &channels).await?.into_inner());
    }
    Ok(crowd)
}

fn table(cases: [usize; 3], seen: &[Vec<Seen>; 3]) -> String {
    let of = |at: usize, value: fn(&Seen) -> f64| median(seen[at].iter().map(value).collect());
    let cpu = [0, 1, 2].map(|at| of(at, |seen| seen.cpu_micros));
    let mut text = format!(
        "Equality filters over {SOCKETS} sockets; rows are written {ROWS} a commit, and each concerns one filter\n\n| filters | CPU µs an event | beyond writing alone | events/s | KiB a subscription |\n|---|--:|--:|--:|--:|\n"
    );
    for (at, filters) in cases.into_iter().enumerate() {
        let kib = if filters > 0 { format!("{:.1}", of(at, |seen| seen.kib_each)) } else { String::new() };
        let beyond = if filters > 0 { format!("{:.2}", cpu[at] - cpu[0]) } else { String::new() };
        text += &format!("| {filters} | {:.2} | {beyond} | {:.0} | {kib} |\n", cpu[at], of(at, |seen| seen.events_a_second));
    }
    let [none, few, many] = cpu;
    text += &format!("\n| {} ÷ {} filters | | wanted |\n|---|--:|--:|\n", cases[2], cases[1]);
    text += &format!("| CPU an event | {:.2} | < {RATIO_MAX} |\n", many / few);
    text += &format!("| beyond writing alone | {:.2} | < {RATIO_MAX} |\n", (many - none) / (few - none));
    text
}
