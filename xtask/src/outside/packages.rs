//! The scripts and the packages of others that they import, in `target/outside`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{process, tools};

/// What runs a script.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Node,
    Python,
    Shell,
}

impl Tool {
    /// The command that runs a script in `home`.
    pub fn command(self, home: &Path, script: &str) -> Command {
        let mut command = match self {
            Tool::Node => Command::new("node"),
            Tool::Shell => Command::new("bash"),
            Tool::Python => Command::new(venv(home).join("bin").join("python")),
        };
        command.arg(script).current_dir(home);
        command
    }

    /// Why its suites are skipped here, if they are. A tool that is there and cannot install its packages is no skip.
    pub fn missing(self) -> Option<String> {
        let absent = |program: &str| (!process::exists(program)).then(|| format!("{program} is not there"));
        match self {
            Tool::Node => absent("npm").or_else(|| node_version().err()),
            Tool::Python => absent("python3"),
            Tool::Shell => absent("bash").or_else(|| absent("curl")),
        }
    }

    /// Installs what its scripts import, once for each state of the pinned versions.
    pub fn install(self, home: &Path) -> Result<(), String> {
        match self {
            Tool::Node => once(home, "package-lock.json", || npm_ci(home)),
            Tool::Python => once(home, "requirements.txt", || {
                tools::venv(&venv(home))?;
                tools::pip(&venv(home), &["--requirement", &home.join("requirements.txt").display().to_string()])
            }),
            Tool::Shell => Ok(()),
        }
    }
}

fn venv(home: &Path) -> PathBuf {
    home.join("venv")
}

fn npm_ci(home: &Path) -> Result<(), String> {
    let mut npm = Command::new("npm");
    npm.current_dir(home).args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
    process::output(&mut npm).map(drop)
}

const NODE_MIN: u32 = 20;

fn node_version() -> Result<(), String> {
    let version = process::output(Command::new("node").arg("--version"))?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= NODE_MIN => Ok(()),
        _ => Err(format!("node {} is older than {NODE_MIN}", version.trim())),
    }
}

/// Runs an installation unless the same list has been installed before.
fn once(home: &Path, list: &str, install: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let wanted = std::fs::read(home.join(list)).map_err(|error| format!("{list}: {error}"))?;
    let stamp = home.join(format!(".installed-{list}"));
    if std::fs::read(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    install()?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// Copies the files of a folder: the scripts, to stand beside the packages where Node looks for them, and the model.
pub fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", from.display());
    std::fs::create_dir_all(to).map_err(failed)?;
    for entry in std::fs::read_dir(from).map_err(failed)?.flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).map_err(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    /// A list that names a registry would send everybody there, and one without a version or hash installs what is newest.
    #[test]
    fn the_lists_pin_versions_and_name_no_registry() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/outside");
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let packages = pinned(&read("package-lock.json"));
        assert!(packages.len() > 100);
        // The page of the example is tried with the client that stands here.
        let page = pinned(&read("../../examples/chat/package-lock.json"));
        assert!(!page.is_empty());
        assert!(page.iter().all(|(name, hash)| packages.get(name) == Some(hash)), "{page:?}");
        let requirements = read("requirements.txt");
        assert!(requirements.lines().count() > 5);
        assert!(requirements.lines().all(|line| line.contains("==") && !line.contains("://") && !line.starts_with('-')), "{requirements}");
        assert!(!folder.join(".npmrc").exists());
    }

    /// The packages of a lock of npm's, and the hash of each.
    fn pinned(lock: &str) -> BTreeMap<String, String> {
        let lock: serde_json::Value = serde_json::from_str(lock).unwrap_or_default();
        let packages = lock["packages"].as_object().into_iter().flatten().filter(|(path, _)| !path.is_empty());
        packages
            .map(|(path, package)| {
                assert!(package["integrity"].is_string() && package["resolved"].is_null(), "{path}");
                (path.clone(), package["integrity"].as_str().unwrap_or_default().to_owned())
            })
            .collect()
    }
}
