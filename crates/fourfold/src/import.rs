//! Rows of another database into a store: read, written through the engine, and compared with their source.

mod convert;
mod copy;
mod in_place;
pub mod introspect;
pub mod map;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
pub mod text;

use std::path::Path;

use fourfold_model::SharedModel;

pub use copy::{Copied, Reading, copy, read};
pub use in_place::in_place;
use introspect::Source;

use crate::failure::Failure;
use crate::load::{Opened, told};

/// Loads rows into a store that has none yet.
pub async fn seed(opened: &Opened, model: &SharedModel, file: &Path) -> Result<(), Failure> {
    for (id, _) in model.entity_ids() {
        if opened.store.count(model, id).await.map_err(told)? > 0 {
            return Ok(());
        }
    }
    let source = open(file)?;
    eprintln!("loading {}", file.display());
    let reading = read(model, &source, &map::ReadFrom::new())?;
    let copied = copy(opened, model, reading).await?;
    copied.refuse_differences()?;
    eprintln!("loaded {} rows of {} tables in {:.1?}", copied.rows(), copied.tables.len(), copied.took);
    Ok(())
}

/// Opens a source database.
pub fn open(file: &Path) -> Result<Source, Failure> {
    sqlite::open(file).map_err(|error| Failure::Use(format!("cannot read `{}` as a SQLite database: {error}", file.display())))
}

/// Opens a source database by its URL; no password of it is told.
#[cfg(feature = "postgres")]
pub fn open_postgres(url: &str) -> Result<Source, Failure> {
    postgres::open(url)
}
