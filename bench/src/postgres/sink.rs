//! How fast a Kafka sink reads the log of a PostgreSQL store and delivers it.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{FIRST_INGESTED, Settings};
use crate::load::http1;
use crate::server::Server;
use crate::{Failure, option, required};

/// How long all may take.
const TIME_MAX: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(10);
const PARTITIONS: &str = "4";

/// A broker, and the jars of its tools.
pub struct Kafka {
    broker: String,
    jars: String,
}

impl Kafka {
    /// What the command line says.
    pub fn of(arguments: &[&str]) -> Result<Option<Kafka>, Failure> {
        let Some(broker) = option(arguments, "--kafka") else { return Ok(None) };
        Ok(Some(Kafka { broker: broker.to_owned(), jars: required(arguments, "--kafka-jars")?.to_owned() }))
    }

    fn create(&self, topic: &str) -> Result<(), Failure> {
        let mut java = Command::new("java");
        java.args(["-XX:TieredStopAtLevel=1", "-cp", &format!("{}/*", self.jars), "org.apache.kafka.tools.TopicCommand"]);
        java.args(["--bootstrap-server", &self.broker, "--create", "--if-not-exists", "--partitions", PARTITIONS, "--topic", topic]);
        let output = java.output()?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
    }
}

/// Ingests rows, then starts the server anew with a sink that begins with the log's first event.
pub async fn measure(settings: &mut Settings, ours: Server, text: &mut String) -> Result<(), Failure> {
    let Some(kafka) = &settings.kafka else {
        println!("skipped: the sink, for there is no `--kafka`");
        return Ok(());
    };
    println!("sink …");
    ingest(&ours, settings.rows).await?;
    ours.end()?;
    // A run has a topic of its own: the broker may have been used before.
    let topic = format!("bench.{}", std::process::id());
    kafka.create(&topic)?;
    let sink = format!(
        "\n[[sink]]\nname = \"bench\"\nkind = \"kafka\"\nentities = [\"Artist\"]\nclaims = {{ sub = \"sink\", roles = [\"admin\"] }}\n\
         brokers = [\"{}\"]\ntopic = \"{topic}\"\n",
        kafka.broker
    );
    let file = settings.place.model.join("fourfold.toml");
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    std::fs::write(&file, format!("{before}{sink}"))?;
    let admin = format!("127.0.0.1:{}", TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
    settings.place.admin = Some(admin.clone());
    let server = Server::serve(&settings.place)?;
    let (events, seconds) = delivered(&admin).await?;
    // Writing into a String cannot fail.
    let _ = writeln!(
        text,
        "| sink, Kafka, events/s | fourfold | {:.0} | {:.1} | | ≥ 20000 |",
        events as f64 / seconds,
        server.cpu_micros()? / events as f64
    );
    Ok(())
}

async fn ingest(server: &Server, rows: u64) -> Result<(), Failure> {
    let mut body = String::new();
    for id in FIRST_INGESTED..FIRST_INGESTED + rows {
        body.push_str(&json!({"id": id, "name": "A new artist"}).to_string());
        body.push('\n');
    }
    let request = http1::request("POST", "/v1/artists", "application/x-ndjson", &body, Some(&server.token));
    http1::once(&server.authority, &request).await?;
    Ok(())
}

/// Events, and the seconds that they took, from the first look that found some until none is left.
async fn delivered(admin: &str) -> Result<(u64, f64), Failure> {
    let begun = Instant::now();
    let mut first = None;
    while begun.elapsed() < TIME_MAX {
        tokio::time::sleep(LOOK).await;
        let metrics = http1::once(admin, &http1::request("GET", "/metrics", "", "", None)).await?;
        let metrics = String::from_utf8_lossy(&metrics).into_owned();
        let of = |name: &str| -> Option<u64> {
            let line = metrics.lines().find(|line| line.starts_with(name) && line.contains("sink=\"bench\""))?;
            line.rsplit(' ').next()?.parse().ok()
        };
        let (done, left) = (of("fourfold_sink_delivered_total").unwrap_or(0), of("fourfold_sink_lag_positions"));
        let (at_first, since) = match (first, done) {
            (None, 0) => continue,
            (None, _) => *first.insert((done, Instant::now())),
            (Some(known), _) => known,
        };
        if left == Some(0) {
            return Ok((done - at_first, since.elapsed().as_secs_f64()));
        }
    }
    Err(format!("the sink did not deliver all within {} s", TIME_MAX.as_secs()).into())
}
