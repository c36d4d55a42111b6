//! Which crate may import which: `model ← op ← plan ← store ← store-*`; `engine → store`; the faces and `connect` →
//! `engine`, `op`, `model`, those that speak WebSocket also `socket`; `server` → all. Tests may import anything (dev-dependencies are not looked at).

use super::Fault;
use crate::workspace::{Package, Workspace};

/// A crate, and the crates of ours that it may import.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("op", &["model"]),
    ("plan", &["model", "op"]),
    ("store", &["model", "op", "plan"]),
    ("store-sqlite", STORE),
    ("store-postgres", STORE),
    ("store-mongo", STORE),
    ("engine", &["model", "op", "plan", "store"]),
    ("rest", FACE),
    ("socket", &[]),
    ("graphql", SOCKET_FACE),
    ("grpc", FACE),
    ("ws", SOCKET_FACE),
    ("connect", FACE),
    ("connect-kafka", CONNECTOR),
    ("connect-aws", CONNECTOR),
    ("server", PRODUCT),
    ("fourfold", PRODUCT_AND_SERVER),
    ("testkit", PRODUCT_AND_SERVER),
    ("bench", PRODUCT_AND_SERVER),
    ("conformance-server", PRODUCT_AND_SERVER),
    ("process", PRODUCT_AND_SERVER),
    ("xtask", &[]),
];
const STORE: &[&str] = &["model", "op", "plan", "store"];
const FACE: &[&str] = &["model", "op", "engine"];
const SOCKET_FACE: &[&str] = &["model", "op", "engine", "socket"];
const CONNECTOR: &[&str] = &["model", "op", "engine", "connect"];
const PRODUCT: &[&str] = &[
    "model",
    "op",
    "plan",
    "store",
    "store-sqlite",
    "store-postgres",
    "store-mongo",
    "engine",
    "socket",
    "rest",
    "graphql",
    "grpc",
    "ws",
    "connect",
    "connect-kafka",
    "connect-aws",
];
const PRODUCT_AND_SERVER: &[&str] = &[
    "model",
    "op",
    "plan",
    "store",
    "store-sqlite",
    "store-postgres",
    "store-mongo",
    "engine",
    "socket",
    "rest",
    "graphql",
    "grpc",
    "ws",
    "connect",
    "connect-kafka",
    "connect-aws",
    "server",
];

/// Every edge of the workspace against the table.
pub fn check(workspace: &Workspace) -> Result<Vec<Fault>, String> {
    let ours: Vec<&str> = workspace.packages.iter().map(|package| package.name.as_str()).collect();
    Ok(workspace.packages.iter().flat_map(|package| faults(package, &ours)).collect())
}

fn faults(package: &Package, ours: &[&str]) -> Vec<Fault> {
    let Some((name, allowed)) = EDGES.iter().find(|(name, _)| *name == short(&package.name)) else {
        return vec![format!("`{}` is a new crate: say in xtask/src/tidy/edges.rs what it may import", package.name)];
    };
    let imports = package.dependencies.iter().filter(|dependency| !dependency.dev && ours.contains(&dependency.name.as_str()));
    imports
        .map(|dependency| short(&dependency.name))
        .filter(|import| !allowed.contains(import))
        .map(|import| format!("`{name}` imports `{import}`; it may import only: {}", allowed.join(" ")))
        .collect()
}

fn short(package: &str) -> &str {
    package.strip_prefix("fourfold-").unwrap_or(package)
}

/// Every crate takes the workspace's lints (`unsafe_code` is forbidden there).
pub fn lints(workspace: &Workspace) -> Result<Vec<Fault>, String> {
    let mut faults = Vec::new();
    for package in &workspace.packages {
        let manifest = package.folder.join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
        if !text.contains("[lints]\nworkspace = true") {
            faults.push(format!("`{}` has no `[lints] workspace = true`", package.name));
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, imports: &[(&str, bool)]) -> Package {
        let dependencies = imports.iter().map(|(name, dev)| Dependency { name: (*name).to_owned(), dev: *dev }).collect();
        Package { name: name.to_owned(), folder: Default::default(), dependencies }
    }

    #[test]
    fn a_face_may_import_the_engine_and_not_the_plan() {
        let ours = ["fourfold-engine", "fourfold-plan", "fourfold-testkit"];
        let face = package("fourfold-rest", &[("fourfold-engine", false), ("fourfold-plan", false), ("fourfold-testkit", true)]);
        assert_eq!(faults(&face, &ours), ["`rest` imports `plan`; it may import only: model op engine"]);
        assert_eq!(faults(&package("fourfold-new", &[]), &ours).len(), 1);
    }
}
