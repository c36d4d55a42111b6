//! The sinks of the settings, opened: each kind is a crate of its own, and may not be in this build.

use fourfold_connect::{Opened, Sink};
use fourfold_model::SharedModel;
use fourfold_server::config::{Config, KafkaConfig, SinkTarget};
use fourfold_server::sinks::settings;

use crate::failure::Failure;

/// Opens every sink; nothing is connected to yet.
pub fn open(model: &SharedModel, config: &Config) -> Result<Vec<Opened>, Failure> {
    let one = |sink| {
        let settings = settings(model, sink).map_err(Failure::Use)?;
        let target = match &sink.target {
            SinkTarget::Kafka(settings) => kafka(settings),
        };
        let sink = target.map_err(|why| Failure::Use(format!("the sink `{}`: {why}", sink.name)))?;
        Ok(Opened { settings, sink })
    };
    config.sinks.iter().map(one).collect()
}

#[cfg(not(feature = "kafka"))]
fn kafka(_: &KafkaConfig) -> Result<Box<dyn Sink>, String> {
    Err("this build of Fourfold has no Kafka; build it with `--features kafka`".to_owned())
}

#[cfg(feature = "kafka")]
fn kafka(config: &KafkaConfig) -> Result<Box<dyn Sink>, String> {
    use fourfold_connect_kafka::{KafkaSettings, KafkaSink, Sasl, Security, Tls};
    let path = |path: &std::path::PathBuf| path.display().to_string();
    let tls = Tls {
        ca_file: config.tls_ca_file.as_ref().map(path),
        cert_file: config.tls_cert_file.as_ref().map(path),
        key_file: config.tls_key_file.as_ref().map(path),
    };
    let password = config.sasl_password_file.as_ref().map(|file| {
        let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
        Ok::<_, String>(text.trim_end_matches(['\r', '\n']).to_owned())
    });
    let sasl = match (&config.sasl_username, password.transpose()?) {
        (Some(username), Some(password)) => Some(Sasl { mechanism: config.sasl_mechanism.clone(), username: username.clone(), password }),
        _ => None,
    };
    let settings = KafkaSettings {
        brokers: config.brokers.clone(),
        topic: config.topic.clone(),
        dead_letter_topic: config.dead_letter_topic.clone(),
        compression: config.compression.clone(),
        linger: config.linger,
        message_bytes_max: config.message_bytes_max,
        deliver_timeout: config.deliver_timeout,
        security: Security { protocol: config.security_protocol.clone(), tls, sasl },
    };
    Ok(Box::new(KafkaSink::open(settings)?))
}
