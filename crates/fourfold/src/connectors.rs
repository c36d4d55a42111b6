//! The sinks and sources of the settings, opened: each kind is a crate of its own, and may not be in this build.

use std::sync::Arc;

use fourfold_connect::{Opened, OpenedSource, Sink, Source};
use fourfold_engine::Engine;
use fourfold_model::SharedModel;
use fourfold_server::config::{Config, KafkaConfig, KafkaSourceConfig, SinkTarget, SourceOrigin};
use fourfold_server::drain::Connectors;
use fourfold_server::{sinks, sources};

use crate::failure::Failure;

/// What is to run over an engine.
pub struct Opens {
    sinks: Vec<Opened>,
    sources: Vec<OpenedSource>,
}

impl Opens {
    /// Starts all of it.
    #[cfg(feature = "kafka")]
    pub fn start(self, engine: &Arc<Engine>) -> Connectors {
        use fourfold_connect::{Sinks, Sources};
        Connectors { sinks: Sinks::start(engine, self.sinks), sources: Sources::start(engine, self.sources) }
    }

    /// There is nothing that could have been opened, so that its loops need not be in the binary.
    #[cfg(not(feature = "kafka"))]
    pub fn start(self, _: &Arc<Engine>) -> Connectors {
        drop((self.sinks, self.sources));
        Connectors::default()
    }
}

/// Opens every sink and every source; nothing is connected to yet.
pub fn open(model: &SharedModel, config: &Config) -> Result<Opens, Failure> {
    let sink = |sink| {
        let settings = sinks::settings(model, sink).map_err(Failure::Use)?;
        let target = match &sink.target {
            SinkTarget::Kafka(settings) => kafka(settings),
        };
        let sink = target.map_err(|why| Failure::Use(format!("the sink `{}`: {why}", sink.name)))?;
        Ok(Opened { settings, sink })
    };
    let source = |source| {
        let settings = sources::settings(model, source).map_err(Failure::Use)?;
        let origin = match &source.origin {
            SourceOrigin::Kafka(settings) => kafka_source(settings),
        };
        let source = origin.map_err(|why| Failure::Use(format!("the source `{}`: {why}", source.name)))?;
        Ok(OpenedSource { settings, source })
    };
    let sinks = config.sinks.iter().map(sink).collect::<Result<_, Failure>>()?;
    Ok(Opens { sinks, sources: config.sources.iter().map(source).collect::<Result<_, Failure>>()? })
}

#[cfg(not(feature = "kafka"))]
const NO_KAFKA: &str = "this build of Fourfold has no Kafka; build it with `--features kafka`";

#[cfg(not(feature = "kafka"))]
fn kafka(_: &KafkaConfig) -> Result<Box<dyn Sink>, String> {
    Err(NO_KAFKA.to_owned())
}

#[cfg(not(feature = "kafka"))]
fn kafka_source(_: &KafkaSourceConfig) -> Result<Box<dyn Source>, String> {
    Err(NO_KAFKA.to_owned())
}

#[cfg(feature = "kafka")]
fn kafka(config: &KafkaConfig) -> Result<Box<dyn Sink>, String> {
    use fourfold_connect_kafka::{KafkaSettings, KafkaSink};
    let settings = KafkaSettings {
        brokers: config.cluster.brokers.clone(),
        topic: config.topic.clone(),
        dead_letter_topic: config.dead_letter_topic.clone(),
        compression: config.compression.clone(),
        linger: config.linger,
        message_bytes_max: config.message_bytes_max,
        deliver_timeout: config.deliver_timeout,
        security: security(&config.cluster)?,
    };
    Ok(Box::new(KafkaSink::open(settings)?))
}

#[cfg(feature = "kafka")]
fn kafka_source(config: &KafkaSourceConfig) -> Result<Box<dyn Source>, String> {
    use fourfold_connect_kafka::{KafkaSource, KafkaSourceSettings};
    let settings = KafkaSourceSettings {
        brokers: config.cluster.brokers.clone(),
        topic: config.topic.clone(),
        group: config.group.clone(),
        dead_letter_topic: config.dead_letter_topic.clone(),
        message_bytes_max: config.message_bytes_max,
        deliver_timeout: config.deliver_timeout,
        session_timeout: config.session_timeout,
        security: security(&config.cluster)?,
    };
    Ok(Box::new(KafkaSource::open(settings)?))
}

#[cfg(feature = "kafka")]
fn security(cluster: &fourfold_server::config::Cluster) -> Result<fourfold_connect_kafka::Security, String> {
    use fourfold_connect_kafka::{Sasl, Security, Tls};
    let path = |path: &std::path::PathBuf| path.display().to_string();
    let tls = Tls {
        ca_file: cluster.tls_ca_file.as_ref().map(path),
        cert_file: cluster.tls_cert_file.as_ref().map(path),
        key_file: cluster.tls_key_file.as_ref().map(path),
    };
    let password = cluster.sasl_password_file.as_ref().map(|file| {
        let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
        Ok::<_, String>(text.trim_end_matches(['\r', '\n']).to_owned())
    });
    let sasl = match (&cluster.sasl_username, password.transpose()?) {
        (Some(username), Some(password)) => Some(Sasl { mechanism: cluster.sasl_mechanism.clone(), username: username.clone(), password }),
        _ => None,
    };
    Ok(Security { protocol: cluster.security_protocol.clone(), tls, sasl })
}
