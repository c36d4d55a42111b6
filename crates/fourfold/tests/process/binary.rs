//! The binary under test: a command that ends, a server that runs, and a folder of the test's own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take before the test says that it does not happen: a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that goes with its test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("fourfold-process-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// With these files.
    pub fn with(files: &[(&str, &str)]) -> Folder {
        let folder = Folder::new();
        files.iter().for_each(|(name, text)| folder.write(name, text));
        folder
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.0.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Every file below with its bytes, in order.
    pub fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() {
                    found.push((path.clone(), std::fs::read(path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// It must have ended so.
    #[track_caller]
    pub fn ended(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// One of its two streams must say this.
    #[track_caller]
    pub fn says(self, text: &str) -> Ran {
        assert!(self.out.contains(text) || self.err.contains(text), "nothing says `{text}`: {self:#?}");
        self
    }
}

/// The binary in a folder, with nothing of this process's environment that it would take for a setting. A fault that was planted
/// (`--features planted-faults`) stays.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fourfold"));
    command.current_dir(folder).args(args).stdin(Stdio::null());
    let settings = std::env::vars().filter(|(name, _)| name.starts_with("FOURFOLD_"));
    settings.filter(|(name, _)| !(cfg!(feature = "planted-faults") && name == "FOURFOLD_PLANTED_FAULT")).for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
}

/// Runs a command to its end.
pub fn run(folder: &Folder, args: &[&str]) -> Ran {
    ended(&mut command(&folder.0, args))
}

pub fn ended(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// A server that is gone with its test.
pub struct Server {
    child: Child,
    told: Arc<Told>,
    pub address: SocketAddr,
}

/// What a process has said so far, on both streams.
#[derive(Default)]
struct Told {
    text: Mutex<String>,
    more: Condvar,
}

impl Server {
    /// `dev` or `serve`, on a port that the system chooses, until it is ready.
    pub fn start(folder: &Folder, args: &[&str]) -> Server {
        Server::spawn(&mut command(&folder.0, args))
    }

    pub fn spawn(command: &mut Command) -> Server {
        Server::spawn_at(command, Ipv4Addr::LOCALHOST)
    }

    /// The same, where another address than loopback's is this machine's.
    pub fn spawn_at(command: &mut Command, address: Ipv4Addr) -> Server {
        let command = command.args(["--listen", &format!("{address}:0"), "--admin", "off", "--log", "off"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let told = Arc::new(Told::default());
        listen(child.stdout.take().unwrap(), &told);
        listen(child.stderr.take().unwrap(), &told);
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Server { child, told, address: unknown };
        server.address = server.until("an address", address_told);
        server.until_true("ready", |server| server.status("/ready") == Some(200));
        server
    }

    /// Waits until what was said has this in it.
    #[track_caller]
    pub fn hears(&self, text: &str) {
        self.until(text, |told| told.contains(text).then_some(()));
    }

    /// Everything that was said.
    pub fn told(&self) -> String {
        self.told.text.lock().unwrap().clone()
    }

    #[track_caller]
    fn until<T>(&self, what: &str, found: impl Fn(&str) -> Option<T>) -> T {
        let begun = Instant::now();
        let mut text = self.told.text.lock().unwrap();
        loop {
            if let Some(found) = found(&text) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain for `{what}`: {text}");
            text = self.told.more.wait_timeout(text, Duration::from_millis(200)).unwrap().0;
        }
    }

    /// Waits for something that is not said.
    #[track_caller]
    pub fn until_true(&self, what: &str, holds: impl Fn(&Server) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}: {}", self.told());
            std::thread::yield_now();
        }
    }

    /// The status of a GET; `None` where nobody answers.
    fn status(&self, path: &str) -> Option<u16> {
        http(self.address, "GET", path, &[], b"").ok().map(|answer| answer.status)
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        http(self.address, "GET", path, &[], b"").unwrap()
    }

    #[track_caller]
    pub fn post(&self, path: &str, headers: &[(&str, &str)], json: &str) -> Answer {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/json"));
        http(self.address, "POST", path, &headers, json.as_bytes()).unwrap()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.kill_now();
    }

    /// `kill -9`, of one whose place another takes.
    pub fn kill_now(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; the process goes on until it has drained.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`, so that no signal needs `unsafe`.
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// How it ended, once it has.
    pub fn end(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(stream: impl Read + Send + 'static, told: &Arc<Told>) {
    let told = Arc::clone(told);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut text = told.text.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
            told.more.notify_all();
        }
    });
}

/// `http://127.0.0.1:40123` in a whole line of what a server says.
fn address_told(told: &str) -> Option<SocketAddr> {
    let (_, rest) = told.split_once("http://")?;
    let (line, _) = rest.split_once('\n')?;
    line.trim_end_matches('/').parse().ok()
}

/// An answer over HTTP/1.1.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// One request on a connection of its own.
pub fn http(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let broken = || std::io::Error::other("half an answer");
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(broken)?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    assert!(!head.contains("transfer-encoding"), "chunks are not read here: {head}");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
    Ok(Answer { status, body: bytes.split_off(end + 4) })
}
