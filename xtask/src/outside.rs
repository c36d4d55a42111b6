//! Other people's clients, tools and linters against the real binary, over the Chinook example.
//!
//! The scripts stand in `tests/outside` with their pinned packages; they are copied to `target/outside` and run there, beside
//! what npm and pip install. A script prints one line a check: `ok NAME`, `not ok NAME: why` or `skip NAME: why`. A client's
//! script says every line of `scenarios.txt` among them.

mod packages;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::process::{self, Ended};
use crate::selection;
use crate::server::Server;
use crate::services;
use crate::tally::Tally;
use crate::tools;
use crate::workspace::Workspace;
use packages::{Tool, copy};

struct Suite {
    name: &'static str,
    tool: Tool,
    script: &'static str,
    /// What it is, and what it needs.
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Runs all scenarios.
    Client,
    Checker,
    /// Starts servers of its own, and asks nothing of the one that is there.
    Apart,
    /// Starts `fourfold-conformance-server` itself.
    Conformance,
    /// Starts servers of its own with Kafka in them, and a broker.
    Kafka,
    /// Likewise, and a PostgreSQL server.
    KafkaAndPostgres,
}

const fn client(name: &'static str, tool: Tool, script: &'static str) -> Suite {
    Suite { name, tool, script, kind: Kind::Client }
}

const fn checker(name: &'static str, tool: Tool, script: &'static str) -> Suite {
    Suite { name, tool, script, kind: Kind::Checker }
}

const fn apart(name: &'static str, tool: Tool, script: &'static str) -> Suite {
    Suite { name, tool, script, kind: Kind::Apart }
}

const fn conformance(name: &'static str, tool: Tool, script: &'static str) -> Suite {
    Suite { name, tool, script, kind: Kind::Conformance }
}

const fn kafka(name: &'static str, tool: Tool, script: &'static str) -> Suite {
    Suite { name, tool, script, kind: Kind::Kafka }
}

const fn kafka_and_postgres(name: &'static str, tool: Tool, script: &'static str) -> Suite {
    Suite { name, tool, script, kind: Kind::KafkaAndPostgres }
}

const SUITES: &[Suite] = &[
    client("curl", Tool::Shell, "curl.sh"),
    checker("audits", Tool::Node, "audits.mjs"),
    checker("graphql-js", Tool::Node, "graphql_js.mjs"),
    client("graphql-request", Tool::Node, "graphql_request.mjs"),
    checker("graphql-subscriptions", Tool::Node, "graphql_subscriptions.mjs"),
    client("connect-web", Tool::Node, "connect_web.mjs"),
    client("centrifuge", Tool::Node, "centrifuge.mjs"),
    checker("centrifuge-subscribe", Tool::Node, "centrifuge_subscribe.mjs"),
    checker("openapi-typescript", Tool::Node, "openapi_typescript.mjs"),
    checker("events", Tool::Node, "events.mjs"),
    checker("linters", Tool::Node, "linters.mjs"),
    checker("browser", Tool::Node, "browser.mjs"),
    apart("examples", Tool::Node, "examples.mjs"),
    client("gql", Tool::Python, "gql_client.py"),
    client("grpcio", Tool::Python, "grpc_client.py"),
    conformance("autobahn", Tool::Python, "autobahn.py"),
    conformance("centrifuge-python", Tool::Python, "centrifuge_python.py"),
    kafka("kafka-sink", Tool::Python, "kafka_sink.py"),
    kafka("kafka-source", Tool::Python, "kafka_source.py"),
    kafka_and_postgres("django", Tool::Python, "django_shop.py"),
    // Last: it also runs Python, with what the suites before it have installed.
    checker("docs", Tool::Node, "docs.mjs"),
];

/// How long one suite may take.
const SUITE_LIMIT: Duration = Duration::from_secs(180);
/// Likewise, where one is asked for its whole size.
const WHOLE_LIMIT: Duration = Duration::from_secs(1_800);

/// All suites, or the named ones.
pub fn run(workspace: &Workspace, only: &[String]) -> Tally {
    let known = |name: &String| SUITES.iter().any(|suite| suite.name == name);
    if let Some(unknown) = only.iter().find(|name| !known(name)) {
        let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        return Tally::fail(format!("outside: no suite `{unknown}`; there are: {}", names.join(" ")));
    }
    let chosen: Vec<&Suite> = SUITES.iter().filter(|suite| only.is_empty() || only.iter().any(|name| name == suite.name)).collect();
    match start(workspace, &chosen) {
        Ok(running) => run_against(running, &chosen),
        Err(why) => Tally::fail(format!("outside: {why}")),
    }
}

fn run_against(running: Running, chosen: &[&Suite]) -> Tally {
    let mut total = Tally::default();
    let mut was_asked = false;
    let mut table = Vec::new();
    for suite in chosen {
        println!("\n-- {} ({})", suite.name, suite.script);
        let begun = Instant::now();
        let tally = suite.run(&running);
        table.push(format!("{:<18} {:>6.1} s  {}", suite.name, begun.elapsed().as_secs_f64(), tally.line()));
        was_asked |= tally.passed > 0 && !matches!(suite.kind, Kind::Apart | Kind::Conformance | Kind::Kafka | Kind::KafkaAndPostgres);
        total.add(tally);
    }
    println!("\n{}", table.join("\n"));
    match running.server.end(was_asked) {
        Ok(()) => total.add(Tally::pass()),
        Err(why) => total.add(Tally::fail(format!("outside: the server: {why}"))),
    }
    total
}

/// Installs what the suites need while cargo builds.
pub fn install_early(workspace: &Workspace) -> JoinHandle<()> {
    let (from, home) = places(workspace);
    std::thread::spawn(move || {
        for tool in [Tool::Node, Tool::Python].into_iter().filter(|tool| tool.missing().is_none()) {
            // What goes wrong here goes wrong again, and is told, where the suite runs.
            let _ = copy(&from, &home).and_then(|()| tool.install(&home));
        }
    })
}

fn places(workspace: &Workspace) -> (PathBuf, PathBuf) {
    (workspace.root.join("tests").join("outside"), workspace.target.join("outside"))
}

/// The server, and what a script is told of it.
struct Running {
    home: PathBuf,
    server: Server,
    variables: Vec<(&'static str, String)>,
    scenarios: Vec<String>,
}

/// Starts the server over a copy of the example: `dev` may write into the model's folder.
fn start(workspace: &Workspace, chosen: &[&Suite]) -> Result<Running, String> {
    let (from, home) = places(workspace);
    copy(&from, &home)?;
    // Before the usual one, whose place it takes for a moment.
    let kafka = chosen.iter().any(|suite| suite.has_kafka() && suite.missing().is_none());
    let kafka = if kafka { Some(built_with_kafka(workspace, &home)?) } else { None };
    let model = home.join("model");
    copy(&workspace.root.join("examples").join("chinook"), &model)?;
    let binary = built(workspace, "FOURFOLD_BIN", "fourfold")?;
    let server = Server::dev(&binary, &model, &home)?;
    let mut variables = vec![
        ("FOURFOLD_URL", server.url.clone()),
        ("FOURFOLD_BIN", binary.display().to_string()),
        ("FOURFOLD_MODEL", model.display().to_string()),
        ("FOURFOLD_PACKAGE", package(&model)?),
        ("FOURFOLD_DOCS", workspace.root.join("docs").display().to_string()),
        ("FOURFOLD_EXAMPLES", workspace.root.join("examples").display().to_string()),
        ("FOURFOLD_ADMIN_TOKEN", server.token(r#"{"sub": "outside-admin", "roles": ["admin"]}"#)?),
        ("FOURFOLD_CUSTOMER_TOKEN", server.token(r#"{"sub": "outside-customer", "customer_id": 1}"#)?),
    ];
    if chosen.iter().any(|suite| suite.kind == Kind::Conformance) {
        let binary = built(workspace, "FOURFOLD_CONFORMANCE_BIN", "fourfold-conformance-server")?;
        variables.push(("FOURFOLD_CONFORMANCE_BIN", binary.display().to_string()));
    }
    if let Some(binary) = kafka {
        let ourselves = std::env::current_exe().map_err(|error| error.to_string())?;
        variables.push(("FOURFOLD_KAFKA_BIN", binary.display().to_string()));
        variables.push(("FOURFOLD_XTASK", ourselves.display().to_string()));
    }
    let scenarios = std::fs::read_to_string(home.join("scenarios.txt")).map_err(|error| format!("scenarios.txt: {error}"))?;
    Ok(Running { home, server, variables, scenarios: scenarios.lines().map(str::to_owned).collect() })
}

/// The binary that a variable names, else the release build of a package.
fn built(workspace: &Workspace, variable: &str, package: &str) -> Result<PathBuf, String> {
    if let Some(binary) = std::env::var_os(variable) {
        return Ok(PathBuf::from(binary));
    }
    let built = process::run(&mut selection::release(workspace));
    if built { Ok(workspace.target.join("release").join(package)) } else { Err("the release build fails".to_owned()) }
}

/// The binary that `FOURFOLD_KAFKA_BIN` names, else a copy of the release build with Kafka and PostgreSQL in it.
fn built_with_kafka(workspace: &Workspace, home: &Path) -> Result<PathBuf, String> {
    if let Some(binary) = std::env::var_os("FOURFOLD_KAFKA_BIN") {
        return Ok(PathBuf::from(binary));
    }
    if !process::run(selection::release(workspace).args(selection::features())) {
        return Err("the release build of `fourfold` with `kafka,postgres` fails".to_owned());
    }
    let copy = home.join("fourfold-kafka");
    // Not over the one of before, which may still run.
    let _ = std::fs::remove_file(&copy);
    std::fs::copy(workspace.binary(), &copy).map_err(|error| format!("{}: {error}", copy.display()))?;
    // So that whoever asks for the usual one finds it there.
    if !process::run(&mut selection::release(workspace)) {
        return Err("the release build of `fourfold` fails".to_owned());
    }
    Ok(copy)
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
    /// Why it is skipped here, if it is.
    fn missing(&self) -> Option<String> {
        let kafka = || tools::missing_for_librdkafka().or_else(|| services::missing("kafka"));
        let postgres = || if self.kind == Kind::KafkaAndPostgres { services::missing("postgres") } else { None };
        self.tool.missing().or_else(|| if self.has_kafka() { kafka().or_else(postgres) } else { None })
    }

    /// Whether it needs the binary with everything in it, and a broker.
    fn has_kafka(&self) -> bool {
        matches!(self.kind, Kind::Kafka | Kind::KafkaAndPostgres)
    }

    fn limit(&self) -> Duration {
        let whole = self.kind == Kind::Kafka && std::env::var_os("TEST_KAFKA_EVENTS").is_some();
        if whole { WHOLE_LIMIT } else { SUITE_LIMIT }
    }

    fn run(&self, running: &Running) -> Tally {
        if let Some(why) = self.missing() {
            println!("skip {}: {why}", self.name);
            return Tally::skip(format!("outside: {}: {why}", self.name));
        }
        if let Err(why) = self.tool.install(&running.home) {
            return Tally::fail(format!("outside: {}: its packages cannot be installed: {why}", self.name));
        }
        let mut command = self.tool.command(&running.home, self.script);
        command.envs(running.variables.iter().map(|(name, value)| (name, value)));
        let mut said = Said::default();
        let ended = process::lines(&mut command, self.limit(), |line| {
            println!("{line}");
            said.line(line, self.name);
        });
        let unsaid = running.scenarios.iter().filter(|scenario| self.kind == Kind::Client && !said.names.contains(*scenario));
        said.tally.failures.extend(unsaid.map(|scenario| format!("outside: {}: nothing was said of `{scenario}`", self.name)));
        self.close(ended, said.tally)
    }

    /// A suite that ended early, or said nothing, has failed.
    fn close(&self, ended: Ended, mut tally: Tally) -> Tally {
        let why = match ended {
            Ended::TimedOut => format!("longer than {} s", self.limit().as_secs()),
            Ended::Failed if tally.ok() => "the script failed".to_owned(),
            Ended::Ok if tally.passed == 0 && tally.ok() && tally.skips.is_empty() => "the script checked nothing".to_owned(),
            _ => return tally,
        };
        tally.failures.push(format!("outside: {}: {why}", self.name));
        tally
    }
}

/// What a script has said so far.
#[derive(Default)]
struct Said {
    tally: Tally,
    /// The names of its checks, without what stands in brackets at their ends.
    names: HashSet<String>,
}

impl Said {
    fn line(&mut self, line: &str, suite: &str) {
        if let Some(name) = line.strip_prefix("ok ") {
            self.tally.passed += 1;
            self.name(name);
        } else if let Some(what) = line.strip_prefix("not ok ") {
            self.tally.failures.push(format!("outside: {suite}: {what}"));
            self.name(what.split(": ").next().unwrap_or(what));
        } else if let Some(what) = line.strip_prefix("skip ") {
            self.tally.add(Tally::skip(format!("outside: {suite}: {what}")));
        }
    }

    fn name(&mut self, name: &str) {
        self.names.insert(name.split(" (").next().unwrap_or(name).to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::Said;

    #[test]
    fn lines_of_scripts_are_counted_and_their_names_known() {
        let mut said = Said::default();
        for line in ["ok a row (gRPC-Web)", "ok a row (Connect JSON)", "not ok a page: expected 1: got 2", "chatter", "ok a sum"] {
            said.line(line, "curl");
        }
        assert_eq!(said.tally.passed, 3);
        assert_eq!(said.tally.failures, ["outside: curl: a page: expected 1: got 2"]);
        let mut names: Vec<_> = said.names.into_iter().collect();
        names.sort();
        assert_eq!(names, ["a page", "a row", "a sum"]);
    }
}
