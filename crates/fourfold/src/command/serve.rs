//! `fourfold serve`: a model on four APIs, for others.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;

use fourfold_engine::Engine;
use fourfold_model::{Model, SharedModel};
use fourfold_server::auth::{Auth, DevKey};
use fourfold_server::config::Config;
use fourfold_server::control::control;
use fourfold_server::drain::Running;
use fourfold_server::retain::retain;
use fourfold_server::stack::{Faces, Shown};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::connectors;
use crate::failure::Failure;
use crate::load;
use crate::settings::SettingFlags;

pub fn run(path: &Path, settings: &SettingFlags) -> Result<(), Failure> {
    let loaded = load::load(path)?;
    if !loaded.in_step {
        return Err(Failure::Model(format!(
            "error: `{}` is out of step with the model; `fourfold check --write` brings it into step",
            loaded.files.lock.display()
        )));
    }
    let config = settings.config(loaded.files.folder())?;
    let auth = auth(&loaded.model, &config, None)?;
    refuse_open_address(&config, &auth)?;
    watch_traces();
    runtime(config.threads)?.block_on(serve(&loaded.model, &config, auth))
}

async fn serve(model: &SharedModel, config: &Config, auth: Arc<Auth>) -> Result<(), Failure> {
    let connectors = connectors::open(model, config)?;
    let opened = load::open_store(config).await?;
    load::migrate(&opened, model, false).await?;
    let engine = Engine::new(opened.for_engine(), Arc::clone(model), opened.generation(), config.limits.clone());
    let faces = Faces::new(Arc::clone(&engine), auth, Shown { visibility: config.visibility, dev: false });
    let key = DevKey::open(&config.data).map_err(Failure::failed)?;
    let running = Running::start(config, faces, false, key.bytes()).await.map_err(Failure::failed)?;
    say!("serving {} on {}", model.package.name, url(config, running.address()));
    if let Some(admin) = running.admin_address() {
        say!("metrics on http://{admin}/metrics");
    }
    unserved(model, config).iter().for_each(|what| say!("not served yet: {what}"));
    running.replace_connectors(|| connectors.start(&engine)).await;
    tokio::select! {
        result = ended() => result?,
        () = opened.failed() => return Err(Failure::Store("a commit failed and its outcome is not known; begin again to recover".into())),
        never = retain(Arc::clone(&opened.store), config.events, running.hold()) => match never {},
        never = control(&config.data, running.stack(), &*opened.store, running.hold()) => match never {},
    }
    running.drain().await;
    Ok(())
}

/// Who may call; in `dev` with the key of the data folder.
pub fn auth(model: &SharedModel, config: &Config, dev: Option<&DevKey>) -> Result<Arc<Auth>, Failure> {
    let key = config.auth.trusted_key().map_err(Failure::usage)?;
    Ok(Arc::new(Auth::new(Arc::clone(model), key, dev, config.auth.anonymous)))
}

/// What the model or the settings ask for and this version does not serve.
pub fn unserved(model: &Model, config: &Config) -> Vec<String> {
    let actions = model.actions.iter().map(|action| format!("action `{}`", action.name));
    let handlers =
        model.entities.iter().filter(|entity| !entity.before.is_empty()).map(|entity| format!("`@@before` of `{}`", entity.name));
    let settings = config.unserved.iter().map(|name| format!("setting `{name}`"));
    actions.chain(handlers).chain(settings).collect()
}

fn refuse_open_address(config: &Config, auth: &Auth) -> Result<(), Failure> {
    let open = !addresses(&config.listen)?.iter().all(|address| address.ip().is_loopback());
    if open && !auth.accepts_tokens() {
        return Err(Failure::Use(format!(
            "`{}` can be reached from other machines, and no token is trusted: set `auth.hs256_secret_file` or `auth.public_key_file`, or listen on `127.0.0.1`",
            config.listen
        )));
    }
    if open && config.tls.is_none() && !config.behind_proxy {
        eprintln!(
            "warning: tokens and rows travel unencrypted: set `server.tls_cert_file`, or `server.behind_proxy` when a proxy encrypts"
        );
    }
    if let Some(admin) = config.admin_listen.as_deref()
        && !addresses(admin)?.iter().all(|address| is_inside(address.ip()))
    {
        eprintln!("warning: `/metrics` on `{admin}` can be reached from other machines, by anyone");
    }
    Ok(())
}

fn is_inside(address: IpAddr) -> bool {
    address.is_loopback()
}

/// What an address of the settings stands for.
pub fn addresses(text: &str) -> Result<Vec<SocketAddr>, Failure> {
    text.to_socket_addrs().map(Iterator::collect).map_err(|error| Failure::Use(format!("`{text}` is no address: {error}")))
}

/// The URL of an address that is served.
pub fn url(config: &Config, address: SocketAddr) -> String {
    format!("{}://{address}", if config.tls.is_some() { "https" } else { "http" })
}

/// A runtime with so many threads; 0: one for each processor.
pub fn runtime(threads: usize) -> Result<Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if threads > 0 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build().map_err(Failure::failed)
}

/// Until someone asks the process to end.
pub async fn ended() -> Result<(), Failure> {
    let mut term = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// What the crates beneath have to say that is not about one request: warnings and errors, to standard error.
pub fn watch_traces() {
    // A second call, in one process, keeps the first.
    let _ = tracing::subscriber::set_global_default(fourfold_server::log::traces());
}
