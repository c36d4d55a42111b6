//! Connections: how they are made, and how many are kept.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts};
use fourfold_op::Error;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Fail, through_pooler, unavailable};
use crate::limits::{KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_RETRIES, LOCK_WAIT_MAX, STATEMENT_MAX, STILL_MAX, UNACKNOWLEDGED_MAX};
use crate::pooled::{Limits, Pooled};
use crate::system;

/// Connections that are kept, where the settings say nothing.
pub const CONNECTIONS: usize = 16;
/// Connections for migration, pruning and other maintenance, whose statements may take long; made when they are wanted.
pub const MAINTENANCE_CONNECTIONS: usize = 2;
/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long one is waited for when all are in use.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Where the database is, and how it is spoken to.
#[derive(Clone)]
pub struct Target {
    config: Config,
    tls: MakeRustlsConnect,
    /// A pooler is in between, which gives each transaction the session that is free.
    through_pooler: bool,
}

impl Target {
    /// What a URL says: `postgres://user:password@host:port/database`, with the parameters that libpq knows. The connection is encrypted and the
    /// server's certificate checked, its name too, against the authorities of `sslrootcert=FILE`, else of the machine (`sslmode=verify-full`,
    /// and `require` means the same). It is plain with `sslmode=disable`, and where no `sslmode` is given and each host is this machine.
    ///
    /// # Errors
    /// `invalid_argument`: it is no such URL, its `sslmode` is another, or its certificates cannot be read. No password is told.
    pub fn parse(url: &str) -> Result<Target, Error> {
        let mut target = Target::of(url)?;
        target.config.options(session());
        Ok(target)
    }

    fn of(url: &str) -> Result<Target, Error> {
        let (url, roots) = take_parameter(url, "sslrootcert");
        let (url, mode) = take_parameter(&url, "sslmode");
        let mut config: Config = url.parse().map_err(|_| Error::invalid("the store's URL is not one of PostgreSQL's"))?;
        config.ssl_mode(ssl_mode(mode.as_deref(), &config)?);
        config.application_name("fourfold").connect_timeout(CONNECT_MAX);
        end_the_silent(&mut config);
        let plain = config.get_ssl_mode() == SslMode::Disable;
        Ok(Target { tls: tls(roots.as_deref(), plain)?, config, through_pooler: false })
    }

    /// The same of a pooler, which takes no settings for the sessions behind it.
    ///
    /// # Errors
    /// As [`Target::parse`].
    pub fn pooler(url: &str) -> Result<Target, Error> {
        Ok(Target { through_pooler: true, ..Target::of(url)? })
    }

    /// Whether it is a pooler.
    pub fn is_pooler(&self) -> bool {
        self.through_pooler
    }

    /// The servers, their ports and the database.
    pub fn place(&self) -> (Vec<String>, Vec<u16>, Option<String>) {
        let hosts = self.config.get_hosts().iter().map(|host| format!("{host:?}")).collect();
        (hosts, self.config.get_ports().to_vec(), self.config.get_dbname().map(str::to_owned))
    }

    /// A connection of its own, and what drives it.
    pub async fn connect(&self) -> Result<(tokio_postgres::Client, Driven), Fail> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        Ok((client, connection))
    }

    /// Stops what another connection is doing.
    pub async fn cancel(&self, token: tokio_postgres::CancelToken) {
        // A cancellation that does not arrive leaves the server's own limit on time.
        let _ = token.cancel_query(self.tls.clone()).await;
    }

    /// As many connections, made when they are wanted.
    pub fn connections(self, most: usize) -> Result<Connections, Error> {
        let manager =
            Manager::from_config(self.config.clone(), self.tls.clone(), ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let timeouts = Timeouts { wait: Some(WAIT_MAX), create: Some(CONNECT_MAX), recycle: Some(WAIT_MAX) };
        // A connection may lead to another server than the one before.
        let checked = Hook::async_fn(|client: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(
                async move { system::check_identity(client).await.map_err(|fail| HookError::message(format!("{:?}", fail.into_error()))) },
            )
        });
        let mut builder = Pool::builder(manager).max_size(most).timeouts(timeouts).runtime(Runtime::Tokio1);
        if !self.through_pooler {
            builder = builder.post_create(checked);
        }
        Ok(Connections { pool: builder.build().map_err(Error::internal)?, limits: Limits::default(), target: Arc::new(self) })
    }
}

/// A pool of connections.
#[derive(Clone)]
pub struct Connections {
    pool: Pool,
    limits: Limits,
    /// Where they lead.
    pub target: Arc<Target>,
}

impl Connections {
    /// One that nobody uses.
    pub async fn take(&self) -> Result<Pooled, Fail> {
        let taken = self.pool.get().await;
        let client = taken.map_err(|error| match error {
            PoolError::Backend(error) => Fail::from(error),
            error => unavailable("the store cannot be reached now").with_private(error).into(),
        })?;
        Ok(Pooled::new(client, self.limits.clone(), self.target.through_pooler))
    }

    /// How many there can be.
    pub fn most(&self) -> usize {
        self.pool.status().max_size
    }

    /// Ends them all; none is made any more.
    pub fn close(&self) {
        self.pool.close();
    }
}

/// A connection's other side.
pub type Driven = tokio_postgres::Connection<
    tokio_postgres::Socket,
    <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<tokio_postgres::Socket>>::Stream,
>;

/// Whether a connection is a session that got the settings of [`session`]: a pooler that drops them is no server.
///
/// # Errors
/// `invalid_argument`: it is none.
pub async fn check_session(client: &tokio_postgres::Client) -> Result<(), Fail> {
    let text = format!(
        "SELECT extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval)::int8 = {}",
        STILL_MAX.as_secs()
    );
    let rows = client.query_typed(&text, &[]).await?;
    let ours = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false);
    if ours { Ok(()) } else { Err(through_pooler().into()) }
}

/// What every session is given. A moment without a zone is UTC, and what this session writes has its events already, so it is not captured.
fn session() -> String {
    let (idle, interval) = (KEEPALIVE_IDLE.as_secs(), KEEPALIVE_INTERVAL.as_secs());
    let keepalives =
        format!("-c tcp_keepalives_idle={idle} -c tcp_keepalives_interval={interval} -c tcp_keepalives_count={KEEPALIVE_RETRIES}");
    let (statement, still, lock) = (STATEMENT_MAX.as_millis(), STILL_MAX.as_millis(), LOCK_WAIT_MAX.as_millis());
    let limits = format!("-c statement_timeout={statement} -c idle_in_transaction_session_timeout={still} -c lock_timeout={lock}");
    format!("{limits} {keepalives} -c tcp_user_timeout={} -c timezone=UTC -c fourfold.own=on", UNACKNOWLEDGED_MAX.as_millis())
}

/// Has this side's system end a connection to a server that is gone. What the URL says of it holds.
fn end_the_silent(config: &mut Config) {
    if config.get_keepalives_interval().is_none() && config.get_keepalives_retries().is_none() {
        config.keepalives_idle(KEEPALIVE_IDLE).keepalives_interval(KEEPALIVE_INTERVAL).keepalives_retries(KEEPALIVE_RETRIES);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNACKNOWLEDGED_MAX);
    }
}

/// TLS with the certificates of a file, else the machine's, which take a while to read: a `plain` connection asks for none.
fn tls(roots: Option<&str>, plain: bool) -> Result<MakeRustlsConnect, Error> {
    let unusable = |error: &dyn std::fmt::Display| Error::invalid(format!("the certificates of `sslrootcert` cannot be used: {error}"));
    let mut store = RootCertStore::empty();
    match roots {
        Some(file) => {
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
                store.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
            }
            if store.is_empty() {
                return Err(Error::invalid("the file of `sslrootcert` has no certificate; it must be PEM"));
            }
        }
        None if plain => {}
        None => {
            let _ = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(Error::internal)?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(store).with_no_client_auth()))
}

/// Encrypted and checked, or plain: nothing in between, which a stranger on the way could turn into plain.
fn ssl_mode(named: Option<&str>, config: &Config) -> Result<SslMode, Error> {
    let is_here = |host: &Host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        Host::Unix(_) => true,
    };
    let addresses_are_here = config.get_hostaddrs().iter().all(IpAddr::is_loopback);
    match named {
        Some("disable") => Ok(SslMode::Disable),
        Some("require" | "verify-full") => Ok(SslMode::Require),
        Some(other) => Err(Error::invalid(format!("`sslmode={other}` in the store's URL is not served; `verify-full` or `disable` is"))),
        None if addresses_are_here && config.get_hosts().iter().all(is_here) => Ok(SslMode::Disable),
        None => Ok(SslMode::Require),
    }
}

/// A URL without one of its parameters, and that parameter's value.
fn take_parameter(url: &str, name: &str) -> (String, Option<String>) {
    let Some((before, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let is_it = |part: &&str| part.split_once('=').is_some_and(|(key, _)| key == name);
    let value = query.split('&').find(is_it).and_then(|part| part.split_once('=')).map(|(_, value)| value.to_owned());
    let rest = query.split('&').filter(|part| !is_it(part)).collect::<Vec<_>>().join("&");
    (if rest.is_empty() { before.to_owned() } else { format!("{before}?{rest}") }, value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_parameter_of_ours_is_taken_out_of_the_url() {
        let cases = [
            ("postgres://h/d", "postgres://h/d", None),
            ("postgres://h/d?sslrootcert=/a.pem", "postgres://h/d", Some("/a.pem")),
            ("postgres://h/d?a=1&sslrootcert=x&b=2", "postgres://h/d?a=1&b=2", Some("x")),
        ];
        for (url, rest, value) in cases {
            assert_eq!(take_parameter(url, "sslrootcert"), (rest.to_owned(), value.map(str::to_owned)), "{url}");
        }
    }

    #[test]
    fn a_silent_server_is_given_up_as_the_url_says_or_after_ten_seconds() {
        for (url, expected) in [("postgres://h/d", 10), ("postgres://h/d?tcp_user_timeout=60", 60)] {
            let config = Target::parse(url).unwrap().config;
            assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(expected)), "{url}");
            assert_eq!((config.get_keepalives_idle(), config.get_keepalives_retries()), (KEEPALIVE_IDLE, Some(KEEPALIVE_RETRIES)), "{url}");
        }
    }

    #[test]
    fn a_connection_is_plain_only_where_that_is_said_or_it_stays_on_this_machine() {
        let plain = |url: &str| Target::parse(url).unwrap().config.get_ssl_mode() == SslMode::Disable;
        for url in
            ["postgres://h/d?sslmode=disable", "postgres://localhost/d", "postgres://127.0.0.9/d", "postgres://%2Frun%2Fpostgresql/d"]
        {
            assert!(plain(url), "{url}");
        }
        for url in [
            "postgres://h/d",
            "postgres://localhost,h/d",
            "postgres://localhost/d?hostaddr=10.0.0.1",
            "postgres://localhost/d?sslmode=verify-full",
            "postgres://h/d?sslmode=require",
        ] {
            assert!(!plain(url), "{url}");
        }
        for mode in ["prefer", "allow", "verify-ca", ""] {
            let error = Target::parse(&format!("postgres://h/d?sslmode={mode}")).err().unwrap();
            assert!(error.public.message.contains("`verify-full` or `disable` is"), "{error:?}");
        }
    }

    #[test]
    fn a_url_that_is_none_is_refused_without_its_password() {
        let error = Target::parse("postgres://user:secret@host:port/d").err().unwrap();
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
