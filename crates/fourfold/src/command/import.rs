//! `fourfold import`: a model from an existing database, and its rows.

use std::fs;
use std::path::{Path, PathBuf};

use comfy_table::{CellAlignment, Table, presets};
#[cfg(feature = "postgres")]
use fourfold_server::config::StoreUrl;
use fourfold_server::open::ModelFiles;

use super::serve::runtime;
use crate::failure::Failure;
use crate::import::introspect::Source;
use crate::import::{self, Copied, Reading, map, text};
use crate::load::{self, Loaded};
use crate::settings::SettingFlags;

/// How a source is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// Its rows are copied into a store of Fourfold's own.
    Copy,
    /// Its tables are served as they are; with `capture`, what others write becomes events too.
    InPlace { capture: bool },
}

pub fn run(source: &str, out: &Path, way: Way) -> Result<(), Failure> {
    if let Ok(files) = ModelFiles::find(out) {
        say!("`{}` exists; nothing was changed", files.model.display());
        let data = out.join(".fourfold");
        say!("its rows are in `{}`{}", data.display(), if data.join("data.db").exists() { "" } else { ", which is not there" });
        say!("import into another folder, or remove this one first");
        return Ok(());
    }
    let named = Named::parse(source)?;
    match way {
        Way::Copy => import_copy(&named, out),
        Way::InPlace { capture } => import_in_place(&named, out, capture),
    }
}

/// Where a source is, by its kind.
enum Named {
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(String),
}

impl Named {
    fn parse(source: &str) -> Result<Named, Failure> {
        match source.split_once(':') {
            Some(("sqlite", file)) if !file.is_empty() => Ok(Named::Sqlite(PathBuf::from(file))),
            #[cfg(feature = "postgres")]
            Some(("postgres" | "postgresql", _)) => Ok(Named::Postgres(source.to_owned())),
            #[cfg(not(feature = "postgres"))]
            Some(("postgres" | "postgresql", _)) => {
                Err(Failure::Use("the source is a `postgres:` URL, and this binary was built without the feature `postgres`".into()))
            }
            Some((kind, _)) => Err(Failure::Use(format!("the source must be `sqlite:FILE` or `postgres://…`, not a `{kind}:` URL"))),
            None => Err(Failure::Use(format!("the source must be `sqlite:FILE` or `postgres://…`, not `{source}`"))),
        }
    }

    fn open(&self) -> Result<Source, Failure> {
        match self {
            Named::Sqlite(file) => import::open(file),
            #[cfg(feature = "postgres")]
            Named::Postgres(url) => import::open_postgres(url),
        }
    }

    /// A package by the name of the file or database.
    fn package(&self) -> String {
        match self {
            Named::Sqlite(file) => package(&file.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default()),
            #[cfg(feature = "postgres")]
            Named::Postgres(url) => {
                let path = url.split(['?', '#']).next().unwrap_or_default();
                package(path.splitn(4, '/').nth(3).unwrap_or_default())
            }
        }
    }

    /// A database that is copied into itself would be served in place.
    #[cfg(feature = "postgres")]
    fn refuse_itself(&self, out: &Path) -> Result<(), Failure> {
        match self {
            Named::Sqlite(_) => Ok(()),
            Named::Postgres(url) => match SettingFlags::default().config(out)?.store {
                StoreUrl::Postgres(own) if fourfold_store_postgres::source::is_same(own.secret(), url) => Err(Failure::Use(
                    "`store.url` is the source itself: `--in-place` serves its tables as they are; to copy them, name another store".into(),
                )),
                _ => Ok(()),
            },
        }
    }
}

fn import_copy(named: &Named, out: &Path) -> Result<(), Failure> {
    #[cfg(feature = "postgres")]
    named.refuse_itself(out)?;
    let source = named.open()?;
    let mapped = map::map(&source)?;
    let loaded = write_model(&named.package(), &mapped, out)?;
    let reading = import::read(&loaded.model, &source, &mapped.read_from)?;
    let copied = runtime(2)?.block_on(copy(&loaded, reading))?;
    show(&copied);
    copied.refuse_differences()?;
    say!("every entity is for admins alone now: widen its `@@allow` where others may come in");
    say!("next: fourfold dev {}", out.display());
    Ok(())
}

fn import_in_place(named: &Named, out: &Path, capture: bool) -> Result<(), Failure> {
    if matches!(named, Named::Sqlite(_)) {
        return Err(Failure::Use("`--in-place` is for `postgres://…`: the SQLite store keeps its values in forms of its own".into()));
    }
    let (source, left) = import::in_place(named.open()?);
    let mut mapped = map::map(&source)?;
    mapped.notes.extend(left);
    mapped.captured = capture;
    write_model(&named.package(), &mapped, out)?;
    say!("every entity is for admins alone now: widen its `@@allow` where others may come in");
    say!("its rows stay where they are: set `store.url` to the source (FOURFOLD_STORE_URL), then");
    say!("next: fourfold migrate plan {0}, fourfold migrate apply {0}", out.display());
    Ok(())
}

/// Writes the model and what stands beside it, and says what was left out.
fn write_model(name: &str, mapped: &map::Mapped, out: &Path) -> Result<Loaded, Failure> {
    fs::create_dir_all(out).map_err(|error| Failure::Failed(format!("cannot make `{}`: {error}", out.display())))?;
    let model = out.join(format!("{name}.fourfold"));
    let written = text::text(name, mapped);
    // What cannot be laid out is written all the same: loading it says what is wrong, with its lines.
    fs::write(&model, fourfold_model::format(&written).unwrap_or(written)).map_err(Failure::failed)?;
    let loaded = load::load(&model)?;
    write_neighbours(out, &loaded)?;
    say!("wrote {} with {} entities", model.display(), mapped.entities.len());
    mapped.notes.iter().for_each(|note| say!("note: {note}"));
    Ok(loaded)
}

fn write_neighbours(out: &Path, loaded: &Loaded) -> Result<(), Failure> {
    loaded.write_lock()?;
    let ignore = out.join(".gitignore");
    if !ignore.exists() {
        fs::write(ignore, ".fourfold/\n").map_err(Failure::failed)?;
    }
    Ok(())
}

/// Small letters, digits and `_`.
fn package(name: &str) -> String {
    let name: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let name = name.split('_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
    if name.starts_with(|c: char| c.is_ascii_lowercase()) { name } else { format!("db_{name}").trim_end_matches('_').to_owned() }
}

async fn copy(loaded: &Loaded, reading: Reading<'_>) -> Result<Copied, Failure> {
    let config = SettingFlags::default().config(loaded.files.folder())?;
    let opened = load::open_store(&config).await?;
    load::migrate(&opened, &loaded.model, false).await?;
    let copied = import::copy(&opened, &loaded.model, reading).await;
    opened.store.close().await;
    copied
}

fn show(copied: &Copied) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["table", "entity", "rows", "copied", "checksum"]);
    for row in &copied.tables {
        let checksum = if row.is_equal() {
            format!("{:016x} equal", row.checksum)
        } else {
            format!("{:016x} and not {:016x}", row.checksum, row.source_checksum)
        };
        table.add_row([row.table.clone(), row.entity.clone(), row.source_rows.to_string(), row.rows.to_string(), checksum]);
    }
    for column in [2, 3] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    say!("{table}");
    say!("{} tables, {} rows in {:.2?}", copied.tables.len(), copied.rows(), copied.took);
}
