//! What sinks and sources are set to, and what librdkafka is told.

use std::time::Duration;

use rdkafka::ClientConfig;

/// A cluster, and what is sent to it.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// The addresses to begin with, `HOST:PORT`.
    pub brokers: Vec<String>,
    /// The topic of all events; `None`: one for each entity (`shop.order`).
    pub topic: Option<String>,
    /// Where events go that are refused for good.
    pub dead_letter_topic: Option<String>,
    /// `none`, `lz4` or `snappy`.
    pub compression: String,
    /// How long a batch may wait to be filled.
    pub linger: Duration,
    /// The largest message, in bytes.
    pub message_bytes_max: usize,
    /// How long the brokers may take to confirm.
    pub deliver_timeout: Duration,
    /// How brokers are spoken to.
    pub security: Security,
}

/// A cluster, and what is read from it.
#[derive(Clone, Debug)]
pub struct KafkaSourceSettings {
    /// The addresses to begin with, `HOST:PORT`.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// The group whose members share the topic's partitions.
    pub group: String,
    /// Where messages go that are refused for good.
    pub dead_letter_topic: Option<String>,
    /// The largest dead letter, in bytes.
    pub message_bytes_max: usize,
    /// How long the brokers may take to confirm a dead letter.
    pub deliver_timeout: Duration,
    /// After how long without a sign of life the group gives a member's partitions to others.
    pub session_timeout: Duration,
    /// How brokers are spoken to.
    pub security: Security,
}

impl KafkaSourceSettings {
    /// What a consumer is made with.
    ///
    /// # Errors
    /// What this build cannot do, and what librdkafka refuses.
    pub(crate) fn consumer(&self) -> Result<ClientConfig, String> {
        let mut client = base(&self.brokers, &self.security)?;
        let millis = |duration: Duration| duration.as_millis().max(1).to_string();
        client
            .set("group.id", &self.group)
            .set("session.timeout.ms", millis(self.session_timeout))
            .set("heartbeat.interval.ms", millis(self.session_timeout / 10))
            // How far it came is saved in the store, with the rows.
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Where it was to go on is gone: nothing is skipped in silence.
            .set("auto.offset.reset", "error")
            // Nothing of a transaction that was aborted.
            .set("isolation.level", "read_committed")
            .set("allow.auto.create.topics", "false")
            .set("partition.assignment.strategy", "range,roundrobin")
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.wait.max.ms", "100")
            // What is known of ends and brokers comes with it.
            .set("statistics.interval.ms", "1000");
        checked(client)
    }

    /// What the producer of dead letters is made with.
    ///
    /// # Errors
    /// As [`KafkaSourceSettings::consumer`].
    pub(crate) fn producer(&self) -> Result<ClientConfig, String> {
        let mut client = base(&self.brokers, &self.security)?;
        client
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .set("message.timeout.ms", self.deliver_timeout.as_millis().max(1).to_string())
            .set("message.max.bytes", self.message_bytes_max.to_string());
        checked(client)
    }
}

/// What every client is told.
fn base(brokers: &[String], security: &Security) -> Result<ClientConfig, String> {
    security.check()?;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers.join(",")).set("client.id", "fourfold").set("reconnect.backoff.max.ms", "1000");
    security.put(&mut client);
    Ok(client)
}

fn checked(client: ClientConfig) -> Result<ClientConfig, String> {
    client.create_native_config().map_err(|error| format!("Kafka's settings: {error}"))?;
    Ok(client)
}

/// How brokers are spoken to.
#[derive(Clone, Debug)]
pub struct Security {
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub protocol: String,
    /// Files for TLS.
    pub tls: Tls,
    /// Who it says that it is.
    pub sasl: Option<Sasl>,
}

/// PEM files for TLS.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Authorities that sign for the brokers; `None`: the system's.
    pub ca_file: Option<String>,
    /// A certificate of our own.
    pub cert_file: Option<String>,
    /// Its private key.
    pub key_file: Option<String>,
}

/// A name and a password.
#[derive(Clone)]
pub struct Sasl {
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: String,
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Sasl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sasl").field("mechanism", &self.mechanism).field("username", &self.username).finish_non_exhaustive()
    }
}

impl KafkaSettings {
    /// What a producer is made with.
    ///
    /// # Errors
    /// What this build cannot do, and what librdkafka refuses.
    pub(crate) fn client(&self) -> Result<ClientConfig, String> {
        let mut client = base(&self.brokers, &self.security)?;
        let millis = |duration: Duration| duration.as_millis().to_string();
        client
            // Confirmed is what all replicas in sync have.
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("max.in.flight.requests.per.connection", "5")
            // A message that failed for good ends the producer; without this the ones after it would go on, and overtake it.
            .set("enable.gapless.guarantee", "true")
            // No message times out by itself, for the same reason: `deliver_timeout` ends them all together.
            .set("message.timeout.ms", "0")
            .set("linger.ms", millis(self.linger))
            .set("compression.type", &self.compression)
            .set("message.max.bytes", self.message_bytes_max.to_string())
            // As the Java clients do, so that their streams find the same key in the same partition.
            .set("partitioner", "murmur2_random");
        checked(client)
    }
}

impl Security {
    fn check(&self) -> Result<(), String> {
        if cfg!(feature = "ssl") {
            return Ok(());
        }
        let needs = "which this build cannot: it was made without TLS; build it with `--features kafka-ssl`";
        if matches!(self.protocol.as_str(), "ssl" | "sasl_ssl") {
            return Err(format!("`security_protocol` is `{}`, {needs}", self.protocol));
        }
        match &self.sasl {
            Some(sasl) if sasl.mechanism != "PLAIN" => Err(format!("`sasl_mechanism` is `{}`, {needs}", sasl.mechanism)),
            _ => Ok(()),
        }
    }

    fn put(&self, client: &mut ClientConfig) {
        client.set("security.protocol", &self.protocol);
        let files = [
            ("ssl.ca.location", &self.tls.ca_file),
            ("ssl.certificate.location", &self.tls.cert_file),
            ("ssl.key.location", &self.tls.key_file),
        ];
        if self.protocol.ends_with("ssl") {
            for (name, file) in files {
                if let Some(file) = file {
                    client.set(name, file);
                }
            }
        }
        if let Some(sasl) = self.sasl.as_ref().filter(|_| self.protocol.starts_with("sasl")) {
            client.set("sasl.mechanisms", &sasl.mechanism).set("sasl.username", &sasl.username).set("sasl.password", &sasl.password);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn settings(protocol: &str, mechanism: Option<&str>) -> KafkaSettings {
        let sasl = mechanism.map(|mechanism| Sasl { mechanism: mechanism.into(), username: "me".into(), password: "hunter2".into() });
        KafkaSettings {
            brokers: vec!["127.0.0.1:1".into(), "127.0.0.1:2".into()],
            topic: None,
            dead_letter_topic: None,
            compression: "lz4".into(),
            linger: Duration::from_millis(5),
            message_bytes_max: 1 << 20,
            deliver_timeout: Duration::from_secs(30),
            security: Security { protocol: protocol.into(), tls: Tls::default(), sasl },
        }
    }

    #[test]
    fn what_is_promised_of_order_is_what_librdkafka_is_told() {
        let client = settings("plaintext", None).client().unwrap();
        for (name, value) in [
            ("bootstrap.servers", "127.0.0.1:1,127.0.0.1:2"),
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("enable.gapless.guarantee", "true"),
            ("max.in.flight.requests.per.connection", "5"),
            ("message.timeout.ms", "0"),
        ] {
            assert_eq!(client.get(name), Some(value), "{name}");
        }
        assert!(settings("sasl_plaintext", Some("PLAIN")).client().is_ok());
    }

    #[test]
    fn what_this_build_cannot_is_refused_by_name() {
        for (protocol, mechanism, said) in [
            ("ssl", None, "`security_protocol` is `ssl`"),
            ("sasl_ssl", Some("PLAIN"), "`security_protocol` is `sasl_ssl`"),
            ("sasl_plaintext", Some("SCRAM-SHA-256"), "`sasl_mechanism` is `SCRAM-SHA-256`"),
        ] {
            let refused = settings(protocol, mechanism).client().err();
            assert_eq!(refused.is_none(), cfg!(feature = "ssl"), "{protocol} {refused:?}");
            assert!(refused.iter().all(|error| error.starts_with(said) && error.contains("--features kafka-ssl")), "{refused:?}");
        }
        let mut odd = settings("plaintext", None);
        odd.compression = "gzipp".into();
        assert!(odd.client().unwrap_err().contains("compression.type"));
    }

    #[test]
    fn a_password_is_not_shown() {
        assert!(!format!("{:?}", settings("sasl_plaintext", Some("PLAIN"))).contains("hunter2"));
    }
}
