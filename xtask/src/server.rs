//! A running Fourfold for the suites: the binary on a port of its own choice, over a data folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{output, reader};

/// How long a start may take, the loading of the example's data included.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long the end may take, once asked for; nothing is in flight then.
const END_LIMIT: Duration = Duration::from_secs(30);

/// The server, killed when dropped.
pub struct Server {
    child: Child,
    /// Kept so that the server can go on writing.
    _lines: Receiver<String>,
    binary: PathBuf,
    data: PathBuf,
    log: PathBuf,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Server {
    /// `fourfold dev MODEL` on a free port, with an empty data folder inside `home`.
    pub fn dev(binary: &Path, model: &Path, home: &Path) -> Result<Server, String> {
        let (data, log) = (home.join("data"), home.join("server.log"));
        let _ = std::fs::remove_dir_all(&data);
        std::fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
        let stderr = std::fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut command = program(binary);
        command.arg("dev").arg(model).args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "json", "--data"]).arg(&data);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
        let lines = reader(&mut child);
        match address(&lines) {
            Some(url) => Ok(Server { child, _lines: lines, binary: binary.to_owned(), data, log, url }),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                let last = said.lines().last().unwrap_or("nothing was said");
                Err(format!("the server printed no address ({} s at most): {last}", START_LIMIT.as_secs()))
            }
        }
    }

    /// A dev token with these claims.
    pub fn token(&self, claims: &str) -> Result<String, String> {
        let mut command = program(&self.binary);
        command.args(["token", "dev", "--claims", claims, "--data"]).arg(&self.data);
        output(&mut command).map(|text| text.trim().to_owned())
    }

    /// Asks the server to end. It must exit 0, and must have blamed itself for nothing that was asked of it; `was_asked` says
    /// whether anything was, so that a log in another form does not pass for a clean one.
    pub fn end(mut self, was_asked: bool) -> Result<(), String> {
        // The shell's own `kill`: a machine need not have it as a program.
        output(Command::new("sh").args(["-c", "kill -TERM \"$0\""]).arg(self.child.id().to_string()))?;
        let status = self.wait()?;
        if !status.success() {
            return Err(format!("it ended with {status}"));
        }
        let log = std::fs::read_to_string(&self.log).map_err(|error| format!("{}: {error}", self.log.display()))?;
        if was_asked && !log.lines().any(is_request) {
            return Err("its log has no request".to_owned());
        }
        log.lines().find(|line| is_own_fault(line)).map_or(Ok(()), |line| Err(format!("its log says: {line}")))
    }

    fn wait(&mut self) -> Result<ExitStatus, String> {
        let deadline = Instant::now() + END_LIMIT;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(format!("it did not end within {} s", END_LIMIT.as_secs()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary, to which a variable of ours (`FOURFOLD_BIN`) would be a setting that it does not know.
fn program(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"FOURFOLD_")) {
        command.env_remove(name);
    }
    command
}

fn is_request(line: &str) -> bool {
    serde_json::from_str::<Value>(line).is_ok_and(|line| line["event"] == "request")
}

/// A line of the log that no client should be able to bring about.
fn is_own_fault(line: &str) -> bool {
    const FAULTS: &[&str] = &["internal", "unknown_outcome"];
    serde_json::from_str::<Value>(line).is_ok_and(|line| {
        let code = line["code"].as_str().unwrap_or_default();
        FAULTS.contains(&code) || line["event"] == "panicked"
    })
}

/// The first `http://127.0.0.1:PORT` that the server prints.
fn address(lines: &Receiver<String>) -> Option<String> {
    let deadline = Instant::now() + START_LIMIT;
    while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        if let Some(url) = address_in(&line) {
            return Some(url);
        }
    }
    None
}

fn address_in(line: &str) -> Option<String> {
    const HOST: &str = "http://127.0.0.1:";
    let (_, rest) = line.split_once(HOST)?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    port.parse::<u16>().ok().filter(|port| *port > 0).map(|port| format!("{HOST}{port}"))
}

#[cfg(test)]
mod tests {
    use super::{address_in, is_own_fault};

    #[test]
    fn the_port_is_read_from_any_line() {
        assert_eq!(address_in("  REST  http://127.0.0.1:40123/v1 ").as_deref(), Some("http://127.0.0.1:40123"));
        assert_eq!(address_in("listening on 127.0.0.1:40123"), None);
        assert_eq!(address_in("http://127.0.0.1:0"), None);
    }

    #[test]
    fn faults_of_the_servers_own_are_seen() {
        assert!(is_own_fault(r#"{"event": "request", "code": "internal"}"#));
        assert!(is_own_fault(r#"{"event": "panicked"}"#));
        assert!(!is_own_fault(r#"{"event": "request", "code": "not_found"}"#));
        assert!(!is_own_fault("loaded 15607 rows"));
    }
}
