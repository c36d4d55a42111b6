//! Loading a model and its lock, and opening the store that serves it.

use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use fourfold_model::{Lock, SharedModel};
#[cfg(feature = "postgres")]
use fourfold_server::config::DatabaseUrl;
use fourfold_server::config::{Config, StoreUrl};
use fourfold_server::open::{ModelFiles, data_folder};
use fourfold_store::memory::MemoryStore;
use fourfold_store::{Maintain, Store};
#[cfg(feature = "postgres")]
use fourfold_store_postgres::{CONNECTIONS, PostgresStore};
use fourfold_store_sqlite::{Files, SqliteStore};

use crate::failure::Failure;

/// A model that has no errors.
pub struct Loaded {
    pub files: ModelFiles,
    pub model: SharedModel,
    /// The lock as it should be.
    pub lock_text: String,
    /// Whether `fourfold.lock` is that already.
    pub in_step: bool,
    /// Warnings, rendered.
    pub warnings: String,
}

/// Loads a model file, or the one of a folder.
pub fn load(path: &Path) -> Result<Loaded, Failure> {
    let files = ModelFiles::find(path).map_err(Failure::usage)?;
    let source =
        fs::read_to_string(&files.model).map_err(|error| Failure::Use(format!("cannot read `{}`: {error}", files.model.display())))?;
    let locked = match fs::read_to_string(&files.lock) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::Use(format!("cannot read `{}`: {error}", files.lock.display()))),
    };
    let lock = Lock::parse(&locked).map_err(|error| Failure::Model(format!("error: `{}`: {error}", files.lock.display())))?;
    let name = files.model.display().to_string();
    let colour = std::io::stderr().is_terminal();
    let render = |list: &[fourfold_model::Diagnostic]| {
        fourfold_model::render_diagnostics(fourfold_model::Source { name: &name, text: &source }, list, colour)
    };
    match fourfold_model::load(&source, &lock) {
        Ok(loaded) => {
            let lock_text = loaded.lock.to_text();
            Ok(Loaded { files, model: Arc::new(loaded.model), in_step: lock_text == locked, lock_text, warnings: render(&loaded.warnings) })
        }
        Err(diagnostics) => Err(Failure::Model(render(&diagnostics))),
    }
}

impl Loaded {
    /// Brings `fourfold.lock` into step.
    pub fn write_lock(&self) -> Result<(), Failure> {
        if self.in_step {
            return Ok(());
        }
        fs::write(&self.files.lock, &self.lock_text)
            .map_err(|error| Failure::Failed(format!("cannot write `{}`: {error}", self.files.lock.display())))
    }
}

/// A store, and what an engine needs to know of it.
pub struct Opened {
    pub store: Arc<dyn Maintain>,
    kind: Kind,
}

enum Kind {
    Memory,
    Sqlite(Arc<SqliteStore>),
    #[cfg(feature = "postgres")]
    Postgres(Arc<PostgresStore>),
}

impl Opened {
    /// The store as an engine takes it.
    pub fn for_engine(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    /// The model's generation, counted by the store's migrations.
    pub fn generation(&self) -> u32 {
        match &self.kind {
            Kind::Memory => 1,
            Kind::Sqlite(store) => store.generation(),
            #[cfg(feature = "postgres")]
            Kind::Postgres(store) => store.generation(),
        }
    }

    /// Only a database that others write to can capture what they write.
    pub fn refuse_capture(&self, model: &SharedModel) -> Result<(), Failure> {
        let kind = match &self.kind {
            Kind::Memory => "in memory",
            Kind::Sqlite(_) => "in SQLite",
            #[cfg(feature = "postgres")]
            Kind::Postgres(_) => return Ok(()),
        };
        match model.entities.iter().find(|entity| entity.captured) {
            Some(entity) => Err(Failure::Store(format!(
                "`{}` has `@@capture`, and a store {kind} is written by Fourfold alone: set `store.url` to `postgres://…`, or take it away",
                entity.name
            ))),
            None => Ok(()),
        }
    }

    /// Resolves when the store cannot go on: the process must end, and recover when it begins again.
    pub async fn failed(&self) {
        match &self.kind {
            Kind::Sqlite(store) => store.failed().await,
            // A database that fails recovers by itself, or is asked again.
            _ => std::future::pending().await,
        }
    }
}

/// Opens the configured store, one in files in its folder; it is not migrated yet.
pub async fn open_store(config: &Config) -> Result<Opened, Failure> {
    data_folder(&config.data).map_err(Failure::store)?;
    match &config.store {
        StoreUrl::Memory => Ok(Opened { store: Arc::new(MemoryStore::new()), kind: Kind::Memory }),
        StoreUrl::Sqlite(_) => {
            let files = files(config)?;
            data_folder(folder_of(&files.database)).map_err(Failure::store)?;
            let store = SqliteStore::open(files).map_err(refused)?;
            Ok(Opened { store: Arc::clone(&store) as Arc<dyn Maintain>, kind: Kind::Sqlite(store) })
        }
        #[cfg(feature = "postgres")]
        StoreUrl::Postgres(url) => {
            let store = open_database(url, CONNECTIONS).await?;
            Ok(Opened { store: Arc::clone(&store) as Arc<dyn Maintain>, kind: Kind::Postgres(store) })
        }
        #[cfg(not(feature = "postgres"))]
        StoreUrl::Postgres(_) => Err(without_postgres()),
    }
}

/// Opens a database, through its pooler if it has one.
#[cfg(feature = "postgres")]
pub async fn open_database(url: &DatabaseUrl, connections: usize) -> Result<Arc<PostgresStore>, Failure> {
    let opened = match url.direct_secret() {
        Some(direct) => PostgresStore::open_through(url.secret(), direct, connections).await,
        None => PostgresStore::open_with(url.secret(), connections).await,
    };
    opened.map_err(refused)
}

/// Of a URL that this binary cannot open.
#[cfg(not(feature = "postgres"))]
pub fn without_postgres() -> Failure {
    Failure::Use("`store.url` is a `postgres:` URL, and this binary was built without the feature `postgres`".into())
}

/// The files of the configured store.
pub fn files(config: &Config) -> Result<Files, Failure> {
    match &config.store {
        StoreUrl::Memory => Err(Failure::Use("a store in memory has no file; set `store.url` to `sqlite:FILE`, or leave it unset".into())),
        StoreUrl::Postgres(_) => {
            Err(Failure::Use("this command is for a store in a file, and `store.url` names a PostgreSQL database".into()))
        }
        StoreUrl::Sqlite(file) => Ok(Files { database: file.clone(), ..Files::in_folder(folder_of(file)) }),
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Brings the store to the model; what would lose data is refused by name unless it is allowed.
pub async fn migrate(opened: &Opened, model: &SharedModel, allow_destructive: bool) -> Result<Vec<String>, Failure> {
    opened.refuse_capture(model)?;
    let migration = opened.store.migration(model).await.map_err(told)?;
    let lost: Vec<&str> = migration.steps.iter().filter(|step| step.destructive).map(|step| step.title.as_str()).collect();
    if !lost.is_empty() && !allow_destructive {
        return Err(Failure::Store(format!(
            "the store would lose data: {}; `fourfold migrate apply --allow-destructive` does it",
            lost.join("; ")
        )));
    }
    let titles = migration.steps.iter().map(|step| step.title.clone()).collect();
    opened.store.migrate(model, migration).await.map_err(told)?;
    Ok(titles)
}

/// What a store says is wrong.
pub fn told(error: fourfold_store::StoreError) -> Failure {
    let fourfold_store::StoreError::Refused(error) = error;
    refused(error)
}

/// What a store says is wrong.
pub fn refused(error: fourfold_op::Error) -> Failure {
    match &error.private.0 {
        Some(private) => Failure::Store(format!("{error} ({private})")),
        None => Failure::Store(error.to_string()),
    }
}
