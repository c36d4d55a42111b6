//! `fourfold import`: a model from an existing database, and its rows.

use std::fs;
use std::path::{Path, PathBuf};

use comfy_table::{CellAlignment, Table, presets};
use fourfold_server::open::ModelFiles;

use super::serve::runtime;
use crate::failure::Failure;
use crate::import::{self, Copied, map, text};
use crate::load::{self, Loaded};
use crate::settings::SettingFlags;

pub fn run(source: &str, out: &Path) -> Result<(), Failure> {
    let file = match source.split_once(':') {
        Some(("sqlite", file)) if !file.is_empty() => PathBuf::from(file),
        _ => return Err(Failure::Use(format!("the source must be `sqlite:FILE`, not `{source}`"))),
    };
    if let Ok(files) = ModelFiles::find(out) {
        say!("`{}` exists; nothing was changed", files.model.display());
        let data = out.join(".fourfold");
        say!("its rows are in `{}`{}", data.display(), if data.join("data.db").exists() { "" } else { ", which is not there" });
        say!("import into another folder, or remove this one first");
        return Ok(());
    }
    let source = import::open(&file)?;
    let mapped = map::map(&source).map_err(Failure::failed)?;
    let name = package(&file);
    fs::create_dir_all(out).map_err(|error| Failure::Failed(format!("cannot make `{}`: {error}", out.display())))?;
    let model = out.join(format!("{name}.fourfold"));
    let written = text::text(&name, &mapped);
    // What cannot be laid out is written all the same: loading it says what is wrong, with its lines.
    fs::write(&model, fourfold_model::format(&written).unwrap_or(written)).map_err(Failure::failed)?;
    let loaded = load::load(&model)?;
    write_neighbours(out, &loaded)?;
    say!("wrote {} with {} entities", model.display(), mapped.entities.len());
    mapped.notes.iter().for_each(|note| say!("note: {note}"));
    let copied = runtime(2)?.block_on(copy(&loaded, &source, &mapped.read_from))?;
    show(&copied);
    copied.refuse_differences()?;
    say!("every entity is for admins alone now: widen its `@@allow` where others may come in");
    say!("next: fourfold dev {}", out.display());
    Ok(())
}

fn write_neighbours(out: &Path, loaded: &Loaded) -> Result<(), Failure> {
    loaded.write_lock()?;
    let ignore = out.join(".gitignore");
    if !ignore.exists() {
        fs::write(ignore, ".fourfold/\n").map_err(Failure::failed)?;
    }
    Ok(())
}

/// A package by the name of the file: small letters, digits and `_`.
fn package(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let name = name.split('_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
    if name.starts_with(|c: char| c.is_ascii_lowercase()) { name } else { format!("db_{name}").trim_end_matches('_').to_owned() }
}

async fn copy(loaded: &Loaded, source: &import::introspect::Source, read_from: &map::ReadFrom) -> Result<Copied, Failure> {
    let config = SettingFlags::default().config(loaded.files.folder())?;
    let opened = load::open_store(&config).await?;
    load::migrate(&opened, &loaded.model, false).await?;
    let copied = import::copy(&opened, &loaded.model, source, read_from).await;
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
