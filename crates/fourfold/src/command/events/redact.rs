//! `fourfold events redact`: what the log holds of a row is blanked.

use std::path::Path;

use fourfold_op::params::parse_key;
use fourfold_server::config::StoreUrl;

use super::entity_of;
use crate::command::serve::runtime;
use crate::failure::Failure;
use crate::load;
use crate::settings::SettingFlags;

pub fn run(entity: &str, key: &str, path: &Path, settings: &SettingFlags) -> Result<(), Failure> {
    let loaded = load::load(path)?;
    let id = entity_of(&loaded.model, entity)?;
    let wanted = parse_key(&loaded.model, id, key).map_err(Failure::usage)?;
    let config = settings.config(loaded.files.folder())?;
    if !matches!(config.store, StoreUrl::Postgres(_)) {
        let files = load::files(&config)?;
        if !files.database.exists() {
            return Err(Failure::Store(format!("there is no store at `{}`", files.database.display())));
        }
    }
    runtime(1)?.block_on(async {
        let opened = load::open_store(&config).await?;
        let done = opened.store.redact(&loaded.model, id, &wanted).await;
        opened.store.close().await;
        let done = done.map_err(load::told)?;
        say!("{} events of `{entity}` `{key}` are blank; cursors below {} have expired", done.events, done.floor);
        Ok(())
    })
}
