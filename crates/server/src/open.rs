//! What a server is opened from: the model's files, the data folder, the store.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Where a model's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// The `.fourfold` file.
    pub model: PathBuf,
    /// `fourfold.lock` beside it.
    pub lock: PathBuf,
}

impl ModelFiles {
    /// A model file, or the one model file of a folder.
    ///
    /// # Errors
    /// Nothing is there, no `.fourfold` file, or more than one.
    pub fn find(path: &Path) -> io::Result<ModelFiles> {
        let meta =
            fs::metadata(path).map_err(|error| io::Error::new(error.kind(), format!("cannot read `{}`: {error}", path.display())))?;
        let model = if meta.is_dir() { in_folder(path)? } else { path.to_path_buf() };
        let folder = model.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        Ok(ModelFiles { lock: folder.join("fourfold.lock"), model })
    }

    /// The folder that both lie in.
    pub fn folder(&self) -> &Path {
        self.lock.parent().unwrap_or_else(|| Path::new("."))
    }
}

fn in_folder(folder: &Path) -> io::Result<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "fourfold"))
        .collect();
    found.sort();
    match found.len() {
        1 => found.pop().ok_or_else(|| io::Error::other("a model was there and is gone")),
        0 => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("no `.fourfold` file is in `{}`; `fourfold init` writes one", folder.display()),
        )),
        _ => Err(io::Error::other(format!("`{}` holds {} `.fourfold` files; name the one that is meant", folder.display(), found.len()))),
    }
}

/// Makes the data folder where it is missing, for its owner alone. The store in it holds the lock.
///
/// # Errors
/// It cannot be made.
pub fn data_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot make the data folder `{}`: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("fourfold-open-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn the_one_model_of_a_folder_is_found() {
        let path = folder("find");
        assert!(ModelFiles::find(&path).unwrap_err().to_string().contains("fourfold init"));
        fs::write(path.join("a.fourfold"), "").unwrap();
        assert_eq!(ModelFiles::find(&path).unwrap().model, path.join("a.fourfold"));
        fs::write(path.join("b.fourfold"), "").unwrap();
        assert!(ModelFiles::find(&path).unwrap_err().to_string().contains("holds 2"));
    }
}
