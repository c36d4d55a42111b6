//! `fourfold restore`: a copy takes the store's place, under a new name for its log.

use std::path::Path;

use fourfold_server::open::{ModelFiles, data_folder};

use super::backup::{progress, told};
use crate::failure::Failure;
use crate::load;
use crate::settings::SettingFlags;

pub fn run(file: &Path, path: &Path, settings: &SettingFlags) -> Result<(), Failure> {
    let model = ModelFiles::find(path).map_err(Failure::usage)?;
    let config = settings.config(model.folder())?;
    let files = load::files(&config)?;
    let folder = files.lock.parent().unwrap_or(&config.data);
    data_folder(folder).map_err(Failure::store)?;
    let bar = progress();
    let restored = fourfold_store_sqlite::restore(&files, file, |done, all| told(&bar, done, all)).map_err(load::refused)?;
    bar.finish_and_clear();
    if let Some(aside) = &restored.aside {
        say!("what was there is kept as `{}`", aside.display());
    }
    say!("restored `{}`, the store at {}; cursors of before have expired", files.database.display(), restored.cursor);
    Ok(())
}
