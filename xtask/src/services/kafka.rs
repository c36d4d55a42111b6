//! Kafka: one broker that is its own controller (KRaft), from the Maven packages of its own release.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Place, Service, daemon};
use crate::process::{exists, output};

pub const SERVICE: Service = Service { name: "kafka", missing, up, down, kill, is_up, address };

const VERSION: &str = "4.3.1";
const READY: &str = "Kafka Server started";
const READY_LIMIT: Duration = Duration::from_secs(90);
const END_LIMIT: Duration = Duration::from_secs(30);

/// What is installed, pinned. Without a binding of slf4j the broker would log nothing, not even that it is ready.
const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>fourfold</groupId>
  <artifactId>services-kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.3.1</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>4.3.1</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"#;

/// One node, small, and quick to take a killed broker back: with the defaults of the two lines on sessions it takes 13 s.
const PROPERTIES: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:CPORT
listeners=PLAINTEXT://127.0.0.1:PORT,CONTROLLER://127.0.0.1:CPORT
advertised.listeners=PLAINTEXT://127.0.0.1:PORT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=DATA/logs
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=16777216
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
controlled.shutdown.enable=false
";

fn missing() -> Option<String> {
    ["java", "mvn"].into_iter().find(|program| !exists(program)).map(|program| format!("{program} is not there"))
}

fn up(place: &Place) -> Result<(), String> {
    install(place)?;
    let data = place.data();
    fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
    let (port, controller) = (place.port("port")?, place.port("controller_port")?);
    let properties = PROPERTIES.replace("CPORT", &controller.to_string()).replace("PORT", &port.to_string());
    place.write("server.properties", &properties.replace("DATA", &data.display().to_string()))?;
    if !data.join("logs").join("meta.properties").is_file() {
        format(place)?;
    }
    let log = place.file("log");
    let pid = daemon::spawn(&mut broker(place), &log)?;
    place.write("pid", &pid.to_string())?;
    daemon::says(pid, &log, READY, READY_LIMIT)
}

/// The jars of the release, once for each list of them.
fn install(place: &Place) -> Result<(), String> {
    if place.read("installed").as_deref() == Some(VERSION) && place.read("pom.xml").as_deref() == Some(POM.trim()) {
        return Ok(());
    }
    let lib = place.file("lib");
    let _ = fs::remove_dir_all(&lib);
    place.write("pom.xml", POM)?;
    let mut maven = Command::new("mvn");
    maven.current_dir(&place.home).args(["-B", "-q", "dependency:copy-dependencies", "-DincludeScope=runtime"]);
    output(maven.arg(format!("-DoutputDirectory={}", lib.display())))?;
    place.write("installed", VERSION)
}

/// Gives the empty log folder the name of its cluster.
fn format(place: &Place) -> Result<(), String> {
    let cluster = output(java(place).args(["kafka.tools.StorageTool", "random-uuid"]))?;
    // What it says beside the name is on lines of its own before it.
    let cluster = cluster.lines().last().unwrap_or_default().trim();
    let properties = place.file("server.properties");
    output(java(place).args(["kafka.tools.StorageTool", "format", "-t", cluster, "-c"]).arg(properties)).map(drop)
}

fn broker(place: &Place) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xms384m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info"]);
    command.arg("-cp").arg(classpath(&place.home)).arg("kafka.Kafka").arg(place.file("server.properties"));
    command.current_dir(&place.home);
    command
}

fn java(place: &Place) -> Command {
    let mut command = Command::new("java");
    command.arg("-XX:TieredStopAtLevel=1").arg("-cp").arg(classpath(&place.home)).current_dir(&place.home);
    command
}

fn classpath(home: &Path) -> PathBuf {
    home.join("lib").join("*")
}

fn down(place: &Place) -> Result<(), String> {
    end(place, "TERM")
}

fn kill(place: &Place) -> Result<(), String> {
    end(place, "KILL")
}

fn end(place: &Place, signal: &str) -> Result<(), String> {
    let Some(pid) = pid(place) else { return Ok(()) };
    daemon::signal(signal, &[pid])?;
    daemon::gone(pid, END_LIMIT)
}

fn pid(place: &Place) -> Option<u32> {
    let mark = place.file("server.properties").display().to_string();
    place.read("pid")?.parse().ok().filter(|pid| daemon::is_ours(*pid, &mark))
}

fn is_up(place: &Place) -> bool {
    pid(place).is_some()
}

fn address(place: &Place) -> Result<String, String> {
    place.known_port("port").map(|port| format!("127.0.0.1:{port}")).ok_or_else(|| "kafka has no port yet".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{POM, VERSION};

    #[test]
    fn the_list_pins_the_release() {
        assert_eq!(POM.matches(VERSION).count(), 2);
        assert_eq!(POM.matches("<version>").count(), 4);
    }
}
