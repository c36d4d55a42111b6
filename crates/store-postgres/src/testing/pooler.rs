//! PgBouncer before the tests' server, with `pool_mode = transaction` and three sessions for each database.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{Server, as_server, free_port, run};

/// Sessions of the server for each database.
pub const SESSIONS: usize = 3;
/// How long it may take to start.
const START_MAX: Duration = Duration::from_secs(20);
static STARTED: AtomicU32 = AtomicU32::new(0);

/// A pooler that runs; it ends when this is dropped, or with the process of tests.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    file: PathBuf,
    settings: String,
    server_port: u16,
    child: Child,
}

/// A pooler before a server; `None`, with a line that says so, where PgBouncer is not installed. `settings` are lines of its section `[pgbouncer]`.
///
/// # Panics
/// Where PgBouncer is not installed and `CI` is `true`; where it does not start.
pub fn pooler(server: &Server, settings: &str) -> Option<Pooler> {
    let Some(program) = program() else {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "PgBouncer is not installed");
        println!("skipped: PgBouncer is not installed (no `pgbouncer` in PATH or /usr/sbin)");
        return None;
    };
    Some(Pooler::start(&program, server, settings).unwrap_or_else(|error| panic!("PgBouncer does not start: {error}")))
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file())
}

impl Pooler {
    fn start(program: &Path, server: &Server, settings: &str) -> io::Result<Pooler> {
        let port = free_port()?;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let (file, log) = (server.folder.join(format!("pooler-{number}.ini")), server.folder.join(format!("pooler-{number}.log")));
        let settings = format!(
            "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {SESSIONS}\nmax_client_conn = 500\n{settings}\n"
        );
        fs::write(&file, format!("[databases]\n{}\n{settings}", place("*", server.port)))?;
        let said = fs::File::create(&log)?;
        let child =
            as_server(program, &server.folder).arg("-q").arg(&file).stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said).spawn()?;
        let mut pooler = Pooler { port, file, settings, server_port: server.port, child };
        end_with_this_process(pooler.child.id())?;
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begun.elapsed() > START_MAX || pooler.child.try_wait()?.is_some() {
                return Err(io::Error::other(fs::read_to_string(&log)?));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(pooler)
    }

    /// Has a name lead to a database of the server from now on.
    ///
    /// # Panics
    /// It cannot be told.
    pub fn lead(&self, name: &str, database: &str) {
        let places = [format!("{} dbname={database}", place(name, self.server_port)), place("*", self.server_port)];
        fs::write(&self.file, format!("[databases]\n{}\n{}", places.join("\n"), self.settings)).unwrap_or_else(|error| panic!("{error}"));
        run(Command::new("kill").args(["-HUP", &self.child.id().to_string()])).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The URL that leads through this pooler to where the server's own URL leads.
    ///
    /// # Panics
    /// It is not such a URL.
    pub fn url(&self, direct: &str) -> String {
        let database = direct.rsplit_once('/').unwrap_or_else(|| panic!("no URL of a database: {direct}")).1;
        format!("postgres://fourfold@127.0.0.1:{}/{database}", self.port)
    }
}

fn place(name: &str, port: u16) -> String {
    format!("{name} = host=127.0.0.1 port={port} user=fourfold")
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A shell waits for the end of this process, which closes its input, then ends the pooler.
fn end_with_this_process(pid: u32) -> io::Result<()> {
    let script = format!("read -r line; kill {pid} 2>/dev/null");
    let watcher = Command::new("sh").args(["-c", &script]).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    std::mem::forget(watcher);
    Ok(())
}
