//! Other people's clients, tools and linters against the release binary, over the Chinook example.
//!
//! The scripts stand in `tests/outside` with their pinned packages; they are copied to `target/outside` and run there, beside
//! what npm and pip install. A script prints one line a check: `ok NAME`, `not ok NAME: why` or `skip NAME: why`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::process::{self, Ended};
use crate::server::Server;
use crate::tally::Tally;
use crate::tools;
use crate::workspace::Workspace;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tool {
    Node,
    Python,
    Shell,
}

struct Suite {
    name: &'static str,
    tool: Tool,
    script: &'static str,
}

const SUITES: &[Suite] = &[
    Suite { name: "curl", tool: Tool::Shell, script: "curl.sh" },
    Suite { name: "audits", tool: Tool::Node, script: "audits.mjs" },
    Suite { name: "graphql-js", tool: Tool::Node, script: "graphql_js.mjs" },
    Suite { name: "graphql-request", tool: Tool::Node, script: "graphql_request.mjs" },
    Suite { name: "connect-web", tool: Tool::Node, script: "connect_web.mjs" },
    Suite { name: "centrifuge", tool: Tool::Node, script: "centrifuge.mjs" },
    Suite { name: "openapi-typescript", tool: Tool::Node, script: "openapi_typescript.mjs" },
    Suite { name: "linters", tool: Tool::Node, script: "linters.mjs" },
    Suite { name: "gql", tool: Tool::Python, script: "gql_client.py" },
    Suite { name: "grpcio", tool: Tool::Python, script: "grpc_client.py" },
];

/// How long one suite may take.
const SUITE_LIMIT: Duration = Duration::from_secs(180);

/// All suites, or the named ones.
pub fn run(workspace: &Workspace, only: &[String]) -> Tally {
    let chosen: Vec<&Suite> = SUITES.iter().filter(|suite| only.is_empty() || only.iter().any(|name| name == suite.name)).collect();
    if chosen.is_empty() {
        let known: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        return Tally::fail(format!("outside: no such suite; there are: {}", known.join(" ")));
    }
    if !process::run(workspace.command("cargo").args(["build", "--release", "--package", "fourfold", "--locked"])) {
        return Tally::fail("outside: the release binary does not build");
    }
    match start(workspace) {
        Ok(running) => chosen.into_iter().fold(Tally::default(), |mut total, suite| {
            total.add(suite.run(&running));
            total
        }),
        Err(why) => Tally::fail(format!("outside: {why}")),
    }
}

/// Installs what the suites need while cargo builds.
pub fn install_early(workspace: &Workspace) -> JoinHandle<()> {
    let (from, home) = places(workspace);
    std::thread::spawn(move || {
        for tool in [Tool::Node, Tool::Python] {
            let _ = copy(&from, &home).and_then(|()| install(tool, &home));
        }
    })
}

fn places(workspace: &Workspace) -> (PathBuf, PathBuf) {
    (workspace.root.join("tests").join("outside"), workspace.target.join("outside"))
}

/// The server and what a script is told of it.
struct Running {
    home: PathBuf,
    server: Server,
    variables: Vec<(&'static str, String)>,
}

fn start(workspace: &Workspace) -> Result<Running, String> {
    let (from, home) = places(workspace);
    copy(&from, &home)?;
    let model = workspace.root.join("examples").join("chinook");
    let server = Server::dev(workspace, &model, &home)?;
    let variables = vec![
        ("FOURFOLD_URL", server.url.clone()),
        ("FOURFOLD_BIN", workspace.binary().display().to_string()),
        ("FOURFOLD_MODEL", model.display().to_string()),
        ("FOURFOLD_PACKAGE", package(&model)?),
        ("FOURFOLD_ADMIN_TOKEN", server.token(r#"{"sub": "outside-admin", "roles": ["admin"]}"#)?),
        ("FOURFOLD_OTHER_TOKEN", server.token(r#"{"sub": "outside-other", "roles": []}"#)?),
    ];
    Ok(Running { home, server, variables })
}

/// The `package` line of the model.
fn package(model: &Path) -> Result<String, String> {
    let entries = std::fs::read_dir(model).map_err(|error| format!("{}: {error}", model.display()))?;
    let mut files = entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ending| ending == "fourfold"));
    let text = files.next().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let name = text.lines().find_map(|line| line.trim().strip_prefix("package ")).map(|name| name.trim().to_owned());
    name.ok_or_else(|| format!("{}: no model with a `package` line", model.display()))
}

impl Suite {
    fn run(&self, running: &Running) -> Tally {
        println!("\n-- {} ({})", self.name, self.script);
        if let Err(why) = install(self.tool, &running.home) {
            let tally = Tally::skip(format!("outside: {}: {why}", self.name));
            println!("skip {}: {why}", self.name);
            return tally;
        }
        let mut command = self.command(&running.home);
        command.current_dir(&running.home).envs(running.variables.iter().map(|(name, value)| (name, value)));
        let mut tally = Tally::default();
        let ended = process::lines(&mut command, SUITE_LIMIT, |line| {
            println!("{line}");
            self.count(line, &mut tally);
        });
        self.close(ended, tally, &running.server)
    }

    fn command(&self, home: &Path) -> Command {
        match self.tool {
            Tool::Node => program("node", self.script),
            Tool::Shell => program("bash", self.script),
            Tool::Python => program(venv(home).join("bin").join("python"), self.script),
        }
    }

    fn count(&self, line: &str, tally: &mut Tally) {
        if line.starts_with("ok ") {
            tally.passed += 1;
        } else if let Some(what) = line.strip_prefix("not ok ") {
            tally.failures.push(format!("outside: {}: {what}", self.name));
        } else if let Some(what) = line.strip_prefix("skip ") {
            tally.add(Tally::skip(format!("outside: {}: {what}", self.name)));
        }
    }

    /// A suite that ended early, or said nothing, has failed.
    fn close(&self, ended: Ended, mut tally: Tally, server: &Server) -> Tally {
        let why = match ended {
            Ended::TimedOut => format!("longer than {} s", SUITE_LIMIT.as_secs()),
            Ended::Failed if tally.ok() => "the script failed".to_owned(),
            Ended::Ok if tally.passed == 0 && tally.ok() && tally.skips.is_empty() => "the script checked nothing".to_owned(),
            _ => return tally,
        };
        tally.failures.push(format!("outside: {}: {why} (server at {})", self.name, server.url));
        tally
    }
}

fn program(program: impl AsRef<std::ffi::OsStr>, script: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(script);
    command
}

fn venv(home: &Path) -> PathBuf {
    home.join("venv")
}

/// Installs what a tool's scripts import, once for each state of the pinned versions.
fn install(tool: Tool, home: &Path) -> Result<(), String> {
    match tool {
        Tool::Node => {
            node_version()?;
            once(home, "package-lock.json", || {
                process::output(npm(home).args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])).map(drop)
            })
        }
        Tool::Python => once(home, "requirements.txt", || {
            tools::venv(&venv(home))?;
            tools::pip(&venv(home), &["--requirement", &home.join("requirements.txt").display().to_string()])
        }),
        Tool::Shell if process::exists("curl") => Ok(()),
        Tool::Shell => Err("curl is not there".to_owned()),
    }
}

fn npm(home: &Path) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(home);
    npm
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

/// Copies the scripts beside the installed packages, where Node looks for them.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", from.display());
    std::fs::create_dir_all(to).map_err(failed)?;
    for entry in std::fs::read_dir(from).map_err(failed)?.flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).map_err(failed)?;
        }
    }
    Ok(())
}
