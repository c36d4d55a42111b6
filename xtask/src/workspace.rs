//! Where the work tree is, and what is in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The work tree and its crates.
pub struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// The workspace's own packages.
    pub packages: Vec<Package>,
}

/// One crate of the workspace.
pub struct Package {
    pub name: String,
    pub folder: PathBuf,
    pub dependencies: Vec<Dependency>,
}

/// One line of a crate's dependencies.
pub struct Dependency {
    pub name: String,
    /// Whether only tests see it.
    pub dev: bool,
}

impl Workspace {
    /// Asks cargo.
    pub fn find() -> Result<Workspace, String> {
        let output = Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .output()
            .map_err(|error| format!("cargo cannot be run: {error}"))?;
        if !output.status.success() {
            return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
        Ok(Workspace {
            root: PathBuf::from(text(&metadata["workspace_root"])),
            target: PathBuf::from(text(&metadata["target_directory"])),
            packages: list(&metadata["packages"]).iter().map(Package::read).collect(),
        })
    }

    /// The files under version control and those that could be (not ignored), relative to the root.
    pub fn files(&self) -> Result<Vec<PathBuf>, String> {
        let output = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&self.root)
            .output()
            .map_err(|error| format!("git cannot be run: {error}"))?;
        if !output.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).filter(|file| self.root.join(file).is_file()).collect())
    }

    /// The release build of the product.
    pub fn binary(&self) -> PathBuf {
        self.target.join("release").join("fourfold")
    }

    /// A command that runs in the root.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }
}

impl Package {
    fn read(package: &Value) -> Package {
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        Package {
            name: text(&package["name"]).to_owned(),
            folder: manifest.parent().map(Path::to_owned).unwrap_or_default(),
            dependencies: list(&package["dependencies"]).iter().map(Dependency::read).collect(),
        }
    }
}

impl Dependency {
    fn read(dependency: &Value) -> Dependency {
        Dependency { name: text(&dependency["name"]).to_owned(), dev: dependency["kind"].as_str() == Some("dev") }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
