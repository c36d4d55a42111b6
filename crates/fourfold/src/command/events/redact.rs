//! `fourfold events redact`: what the log holds of a row is blanked, by the server that has the store, else here.

use std::path::Path;

use fourfold_op::params::parse_key;
use fourfold_server::config::{Config, StoreUrl};
use fourfold_server::control::{self, Answered, Asked};
use fourfold_store::Redacted;

use super::entity_of;
use crate::command::serve::runtime;
use crate::failure::Failure;
use crate::load::{self, Loaded};
use crate::settings::SettingFlags;

pub fn run(entity: &str, key: &str, path: &Path, settings: &SettingFlags) -> Result<(), Failure> {
    let loaded = load::load(path)?;
    let config = settings.config(loaded.files.folder())?;
    let done = runtime(1)?.block_on(async {
        match by_server(&config, entity, key).await? {
            Some(done) => Ok(done),
            None => here(&loaded, &config, entity, key).await,
        }
    })?;
    say!("{} events of `{entity}` `{key}` are blank; cursors below {} have expired", done.events, done.floor);
    Ok(())
}

/// Asks the server that has the data folder, where one has.
async fn by_server(config: &Config, entity: &str, key: &str) -> Result<Option<Redacted>, Failure> {
    let asked = Asked::Redact { entity: entity.to_owned(), key: key.to_owned() };
    let answered = control::ask(&config.data, &asked).await.map_err(|error| {
        let socket = control::socket(&config.data);
        Failure::Store(match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                format!("`{}` is of another user: only who runs the server, and root, may ask it", socket.display())
            }
            _ => format!("the server at `{}`: {error}", socket.display()),
        })
    })?;
    match answered {
        None => Ok(None),
        Some(Answered::Redacted { events, floor }) => Ok(Some(Redacted { events, floor })),
        Some(Answered::Error { code, message }) if code == "invalid_argument" => Err(Failure::Use(message)),
        Some(Answered::Error { message, .. }) => Err(Failure::Store(message)),
    }
}

/// Opens the store, which no other process may have; a PostgreSQL database may be served meanwhile.
async fn here(loaded: &Loaded, config: &Config, entity: &str, key: &str) -> Result<Redacted, Failure> {
    let id = entity_of(&loaded.model, entity)?;
    let wanted = parse_key(&loaded.model, id, key).map_err(Failure::usage)?;
    if !matches!(config.store, StoreUrl::Postgres(_)) {
        let files = load::files(config)?;
        if !files.database.exists() {
            return Err(Failure::Store(format!("there is no store at `{}`", files.database.display())));
        }
    }
    let opened = load::open_store(config).await?;
    let done = opened.store.redact(&loaded.model, id, &wanted).await;
    opened.store.close().await;
    done.map_err(load::told)
}
