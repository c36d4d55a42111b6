//! A running Fourfold for the suites: the release binary on a port of its own choice, over a data folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::process::{output, reader};
use crate::workspace::Workspace;

/// How long a start may take, the loading of the example's data included.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The server, ended when dropped.
pub struct Server {
    child: Child,
    /// Kept so that the server can go on writing.
    _lines: Receiver<String>,
    binary: PathBuf,
    data: PathBuf,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Server {
    /// `fourfold dev MODEL` on a free port, with an empty data folder inside `home`.
    pub fn dev(workspace: &Workspace, model: &Path, home: &Path) -> Result<Server, String> {
        let data = home.join("data");
        let _ = std::fs::remove_dir_all(&data);
        std::fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
        let log = std::fs::File::create(home.join("server.log")).map_err(|error| format!("server.log: {error}"))?;
        let mut command = Command::new(workspace.binary());
        command.arg("dev").arg(model).args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data"]).arg(&data);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", workspace.binary().display()))?;
        let lines = reader(&mut child);
        match address(&lines) {
            Some(url) => Ok(Server { child, _lines: lines, binary: workspace.binary(), data, url }),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                Err(format!("the server printed no address within {} s; see {}", START_LIMIT.as_secs(), home.join("server.log").display()))
            }
        }
    }

    /// A dev token with these claims.
    pub fn token(&self, claims: &str) -> Result<String, String> {
        let mut command = Command::new(&self.binary);
        command.args(["token", "dev", "--claims", claims, "--data"]).arg(&self.data);
        output(&mut command).map(|text| text.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
    use super::address_in;

    #[test]
    fn the_port_is_read_from_any_line() {
        assert_eq!(address_in("  REST  http://127.0.0.1:40123/v1 ").as_deref(), Some("http://127.0.0.1:40123"));
        assert_eq!(address_in("listening on 127.0.0.1:40123"), None);
        assert_eq!(address_in("http://127.0.0.1:0"), None);
    }
}
