//! `fourfold backup`: a whole copy of the store, of one moment, also while a server writes it.

use std::path::Path;

use fourfold_op::ErrorCode;
use fourfold_server::open::ModelFiles;
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;
use crate::load;
use crate::settings::SettingFlags;

pub fn run(file: &Path, path: &Path, settings: &SettingFlags) -> Result<(), Failure> {
    let model = ModelFiles::find(path).map_err(Failure::usage)?;
    let files = load::files(&settings.config(model.folder())?)?;
    let bar = progress();
    let made = fourfold_store_sqlite::backup(&files.database, file, |done, all| told(&bar, done, all));
    let made = made.map_err(|error| match error.code {
        ErrorCode::FailedPrecondition => Failure::failed(error),
        _ => load::refused(error),
    })?;
    bar.finish_and_clear();
    say!("wrote `{}`: {} bytes, the store at {}", file.display(), made.bytes, made.cursor);
    Ok(())
}

/// A bar for whoever watches.
pub fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pages");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

pub fn told(bar: &ProgressBar, done: u32, all: u32) {
    bar.set_length(u64::from(all));
    bar.set_position(u64::from(done));
}
