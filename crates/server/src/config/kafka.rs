//! A Kafka cluster, for what is sent to it and what is read from it.

use std::path::{Path, PathBuf};

use super::section::SectionTexts;
use super::setting::{Kind, Setting, list, setting};

/// How brokers are spoken to; `brokers` stands elsewhere in the tables.
pub(super) const SECURITY: [Setting; 7] = [
    setting(
        "security_protocol",
        "plaintext",
        Kind::OneOf(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]),
        "",
        "how brokers are spoken to; `ssl` and `sasl_ssl` need a build with `--features kafka-ssl`",
    ),
    setting(
        "sasl_mechanism",
        "PLAIN",
        Kind::OneOf(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
        "",
        "how it says who it is, with `sasl_…`; SCRAM needs a build with `--features kafka-ssl`",
    ),
    setting("sasl_username", "", Kind::Text, "", "the name"),
    setting("sasl_password_file", "", Kind::Path, "", "a file with the password"),
    setting("tls_ca_file", "", Kind::Path, "", "a PEM file with the authorities that sign for the brokers; unset: the system's"),
    setting("tls_cert_file", "", Kind::Path, "", "a PEM file with a certificate of our own"),
    setting("tls_key_file", "", Kind::Path, "", "a PEM file with its private key"),
];

/// A cluster.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each is described in SINK_SETTINGS and SOURCE_SETTINGS, under its own name")]
pub struct Cluster {
    pub brokers: Vec<String>,
    pub security_protocol: String,
    pub sasl_mechanism: String,
    pub sasl_username: Option<String>,
    pub sasl_password_file: Option<PathBuf>,
    pub tls_ca_file: Option<PathBuf>,
    pub tls_cert_file: Option<PathBuf>,
    pub tls_key_file: Option<PathBuf>,
}

/// The cluster of a section; `whose` is `the sink \`orders\``.
pub(super) fn cluster(folder: &Path, of: &SectionTexts, whose: &str) -> Result<Cluster, String> {
    let cluster = Cluster {
        brokers: list(of.of("brokers")),
        security_protocol: of.of("security_protocol").to_owned(),
        sasl_mechanism: of.of("sasl_mechanism").to_owned(),
        sasl_username: of.optional("sasl_username"),
        sasl_password_file: of.path(folder, "sasl_password_file"),
        tls_ca_file: of.path(folder, "tls_ca_file"),
        tls_cert_file: of.path(folder, "tls_cert_file"),
        tls_key_file: of.path(folder, "tls_key_file"),
    };
    let protocol = &cluster.security_protocol;
    if cluster.brokers.is_empty() {
        return Err(format!("{whose} needs `brokers`, such as `[\"127.0.0.1:9092\"]`"));
    }
    if protocol.starts_with("sasl") && (cluster.sasl_username.is_none() || cluster.sasl_password_file.is_none()) {
        return Err(format!("{whose} speaks `{protocol}`, which needs `sasl_username` and `sasl_password_file`"));
    }
    if cluster.tls_cert_file.is_some() != cluster.tls_key_file.is_some() {
        return Err(format!("{whose}: `tls_cert_file` and `tls_key_file` are set together or not at all"));
    }
    Ok(cluster)
}
