//! `fourfold dev`: a model on four APIs, on this machine alone, reloaded as it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fourfold_engine::Engine;
use fourfold_model::{Model, names};
use fourfold_server::auth::DevKey;
use fourfold_server::config::Config;
use fourfold_server::control::control;
use fourfold_server::drain::Running;
use fourfold_server::retain::retain;
use fourfold_server::stack::{Faces, Shown};
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::serve::{addresses, auth, ended, runtime, unserved, url, watch_traces};
use crate::connectors::{self, Opens};
use crate::failure::Failure;
use crate::import;
use crate::load::{self, Loaded, Opened};
use crate::settings::SettingFlags;

pub fn run(path: &Path, settings: &SettingFlags) -> Result<(), Failure> {
    let loaded = load::load(path)?;
    let config = settings.config(loaded.files.folder())?;
    if !addresses(&config.listen)?.iter().all(|address| address.ip().is_loopback()) {
        return Err(Failure::Use(format!(
            "`fourfold dev` is open to whoever reaches it, so it listens on this machine alone, not on `{}`; `fourfold serve` is for others",
            config.listen
        )));
    }
    watch_traces();
    runtime(config.threads)?.block_on(dev(path, loaded, &config))
}

/// What outlives a reload.
struct Session<'a> {
    path: &'a Path,
    config: &'a Config,
    opened: Opened,
    key: DevKey,
}

async fn dev(path: &Path, loaded: Loaded, config: &Config) -> Result<(), Failure> {
    // Before anything that takes long, so that no edit is missed.
    let (changed, mut changes) = mpsc::channel(1);
    let _watcher = watch(&loaded.files.model, changed)?;
    let connectors = connectors::open(&loaded.model, config)?;
    let opened = load::open_store(config).await?;
    let key = DevKey::open(&config.data).map_err(Failure::failed)?;
    let session = Session { path, config, opened, key };
    eprint!("{}", loaded.warnings);
    load::migrate(&session.opened, &loaded.model, false).await?;
    loaded.write_lock()?;
    if let Some(seed) = &config.seed {
        import::seed(&session.opened, &loaded.model, seed).await?;
    }
    let running = Running::start(config, session.faces(&loaded)?, true, session.key.bytes()).await.map_err(Failure::failed)?;
    session.greet(&loaded.model, &running);
    session.start_connectors(&running, connectors).await;
    let ended = ended();
    let retaining = retain(Arc::clone(&session.opened.store), config.events, running.hold());
    let stack = Arc::clone(running.stack());
    let controlled = control(&config.data, &stack, &*session.opened.store, running.hold());
    tokio::pin!(ended, retaining, controlled);
    loop {
        tokio::select! {
            never = &mut retaining => match never {},
            never = &mut controlled => match never {},
            result = &mut ended => { result?; break; }
            () = session.opened.failed() => return Err(Failure::Store("a commit failed and its outcome is not known; begin again to recover".into())),
            Some(()) = changes.recv() => session.reload(&running).await,
        }
    }
    running.drain().await;
    Ok(())
}

impl Session<'_> {
    fn faces(&self, loaded: &Loaded) -> Result<Arc<Faces>, Failure> {
        let auth = auth(&loaded.model, self.config, Some(&self.key))?;
        let engine = Engine::new(self.opened.for_engine(), Arc::clone(&loaded.model), self.opened.generation(), self.config.limits.clone());
        Ok(Faces::new(engine, auth, Shown { visibility: self.config.visibility, dev: true }))
    }

    /// Serves the model as it is now; while it has errors, the one before.
    async fn reload(&self, running: &Running) {
        match self.reloaded().await {
            Ok((loaded, faces, connectors)) => {
                running.stack().replace(faces);
                self.start_connectors(running, connectors).await;
                eprintln!("{}reloaded: {} entities", loaded.warnings, loaded.model.entities.len());
            }
            Err(failure) => eprintln!("{failure}\nstill serving the model as it was before"),
        }
    }

    /// Over the model that is served now.
    async fn start_connectors(&self, running: &Running, connectors: Opens) {
        let faces = running.stack().faces();
        running.replace_connectors(|| connectors.start(faces.engine())).await;
    }

    async fn reloaded(&self) -> Result<(Loaded, Arc<Faces>, Opens), Failure> {
        let loaded = load::load(self.path)?;
        let connectors = connectors::open(&loaded.model, self.config)?;
        load::migrate(&self.opened, &loaded.model, false).await?;
        // Not before: an edit that is refused must leave the numbers and columns of what it left out.
        loaded.write_lock()?;
        let faces = self.faces(&loaded)?;
        Ok((loaded, faces, connectors))
    }

    fn greet(&self, model: &Model, running: &Running) {
        let base = url(self.config, running.address());
        say!("\n  fourfold dev · {} · open to anyone on this machine\n", model.package.name);
        say!("  page       {base}/");
        for (name, address, command) in tries(model, &base, running) {
            say!("  {name:<10} {address}\n             {command}");
        }
        let data = self.config.data.display();
        say!("\n  token      fourfold token dev --claims '{{\"sub\": \"1\", \"roles\": [\"admin\"]}}' --data {data}");
        if let Some(admin) = running.admin_address() {
            say!("  metrics    http://{admin}/metrics");
        }
        unserved(model, self.config).iter().for_each(|what| say!("  not served yet: {what}"));
        say!("");
    }
}

/// Each API with one command to try.
fn tries(model: &Model, base: &str, running: &Running) -> Vec<(&'static str, String, String)> {
    let address = running.address();
    let Some(entity) = model.entities.iter().find(|entity| !entity.internal) else { return Vec::new() };
    let (version, plural, name) = (&model.package.version, &entity.plural, &entity.name);
    let (camel, list) = (names::camel(plural), names::pascal(plural));
    let service = format!("{}.{name}Service/List{list}", model.package.name);
    vec![
        ("REST", format!("{base}/{version}/{plural}"), format!("curl '{base}/{version}/{plural}?page_size=3'")),
        (
            "GraphQL",
            format!("{base}/graphql"),
            format!(
                "curl {base}/graphql -H 'content-type: application/json' -d '{{\"query\":\"{{ {camel}(first: 3) {{ nodes {{ id }} }} }}\"}}'"
            ),
        ),
        ("gRPC", format!("{address}"), format!("curl {base}/{service} -H 'content-type: application/json' -d '{{\"page_size\": 3}}'")),
        (
            "WebSocket",
            format!("ws://{address}/connection/websocket"),
            format!("npx wscat -c ws://{address}/connection/websocket -x '{{\"id\": 1, \"connect\": {{}}}}' -w 1"),
        ),
    ]
}

/// Says when the model file has changed and is calm again.
fn watch(model: &Path, changed: mpsc::Sender<()>) -> Result<notify::RecommendedWatcher, Failure> {
    let (raw, calm) = std::sync::mpsc::channel::<()>();
    let file: PathBuf = model.file_name().map(PathBuf::from).unwrap_or_default();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let ours =
            event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|path| path.file_name() == Some(file.as_os_str())));
        if ours {
            // The thread below is gone only when the command is.
            let _ = raw.send(());
        }
    })
    .map_err(Failure::failed)?;
    let folder = model.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    // Editors replace a file rather than write it, so the folder is watched.
    watcher.watch(folder, RecursiveMode::NonRecursive).map_err(Failure::failed)?;
    std::thread::spawn(move || {
        while calm.recv().is_ok() {
            while calm.recv_timeout(Duration::from_millis(60)).is_ok() {}
            if changed.blocking_send(()).is_err() {
                return;
            }
        }
    });
    Ok(watcher)
}
