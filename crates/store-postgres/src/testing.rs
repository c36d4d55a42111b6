//! A PostgreSQL server for tests: one for each process of tests, in a temporary folder, with a database for each test.
//!
//! It is the installed server, started on a port of loopback that was free, and ended when the process of tests ends it
//! ([`Server::stop`]) or is gone. A server refuses to run as root, so for root it runs as the user `postgres`.

mod pooler;

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

pub use pooler::{Pooler, SESSIONS, pooler};

use crate::connect::Target;

/// How long a server may take to start.
const START_MAX: Duration = Duration::from_secs(60);

/// Ends all other sessions, then takes all rows out of all tables, in no order: what refers to what is not looked at meanwhile.
const EMPTY: &str = "
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
BEGIN;
SET LOCAL session_replication_role = replica;
DO $$
DECLARE name regclass;
BEGIN
  FOR name IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    AND relname <> 'fourfold_state' LOOP
    EXECUTE format('DELETE FROM %s', name);
  END LOOP;
END $$;
UPDATE fourfold_state SET epoch = left(md5(random()::text), 12), floor = 0;
COMMIT";

/// The sessions that hold the sequencer's lock of the database that is asked.
pub const LEADERS: &str = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
    AND (classid::int8 << 32 | objid::int8) = 112628897808385 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    programs: PathBuf,
    /// Beside loopback's.
    addresses: Vec<Ipv4Addr>,
    port: u16,
    child: Mutex<Option<Child>>,
    databases: AtomicU32,
}

/// The server of this process of tests, started at the first call; `None`, with a line that says so, where PostgreSQL is not installed.
///
/// # Panics
/// Where PostgreSQL is not installed and `CI` is `true`; where it does not start.
pub fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| own_server(&[])).as_ref()
}

/// A server of a test's own, which may be stopped; it listens on these addresses of the machine too, and trusts whom it meets there.
///
/// # Panics
/// As [`server`].
pub fn own_server(addresses: &[Ipv4Addr]) -> Option<Server> {
    let start = |programs| Server::start(programs, addresses).unwrap_or_else(|error| panic!("PostgreSQL does not start: {error}"));
    let found = programs().map(start);
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "PostgreSQL is not installed");
        println!("skipped: PostgreSQL is not installed (no `initdb` beside `postgres` in PATH or /usr/lib/postgresql)");
    }
    found
}

/// The name of a URL's database.
pub fn name_of(url: &str) -> String {
    let name = url.rsplit('/').next().unwrap_or_default();
    name.split('?').next().unwrap_or_default().to_owned()
}

/// The folder of the newest installed server's programs.
fn programs() -> Option<PathBuf> {
    let whole = |folder: &PathBuf| ["initdb", "pg_ctl", "postgres", "psql"].iter().all(|program| folder.join(program).is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&path).find(whole) {
        return Some(folder);
    }
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok).map(|entry| entry.path().join("bin"));
    let number = |folder: &PathBuf| folder.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    versions.filter(whole).max_by_key(number)
}

impl Server {
    fn start(programs: PathBuf, addresses: &[Ipv4Addr]) -> io::Result<Server> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("fourfold-postgres-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&folder))?;
        }
        let data = folder.join("data");
        let mut init = as_server(&programs.join("initdb"), &folder);
        run(init.arg("-D").arg(&data).args(["-U", "fourfold", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]))?;
        if !addresses.is_empty() {
            let mut trusted = fs::File::options().append(true).open(data.join("pg_hba.conf"))?;
            trusted.write_all(b"host all all samenet trust\n")?;
        }
        let (port, addresses) = (free_port()?, addresses.to_vec());
        let server = Server { child: Mutex::new(None), folder, programs, addresses, port, databases: AtomicU32::new(0) };
        server.resume()?;
        end_with_this_process(&server);
        Ok(server)
    }

    /// Starts the server again after [`Server::stop`].
    ///
    /// # Errors
    /// It does not start.
    pub fn resume(&self) -> io::Result<()> {
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log"))?;
        let addresses: String = self.addresses.iter().map(|address| format!(",{address}")).collect();
        let child = as_server(&self.programs.join("postgres"), &self.folder)
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-c", &format!("listen_addresses=127.0.0.1{addresses}"), "-c", "unix_socket_directories=", "-c", "max_connections=300"])
            .args(["-c", "shared_buffers=64MB", "-c", "log_min_messages=warning", "-p", &self.port.to_string()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        *self.child() = Some(child);
        let begun = Instant::now();
        while run(as_server(&self.programs.join("psql"), &self.folder).args(self.psql("postgres")).args(["-c", "SELECT 1"])).is_err() {
            if begun.elapsed() > START_MAX {
                return Err(io::Error::other(fs::read_to_string(self.folder.join("log")).unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn psql(&self, database: &str) -> Vec<String> {
        let port = self.port.to_string();
        ["-h", "127.0.0.1", "-p", &port, "-U", "fourfold", "-d", database, "-q", "-v", "ON_ERROR_STOP=1", "-A", "-t"]
            .map(str::to_owned)
            .to_vec()
    }

    /// The URL of a new, empty database.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Makes a store's database as good as new: nobody is connected with it, its tables are as they were and empty, and its log is another.
    /// A new database costs half a second, this a few milliseconds.
    ///
    /// # Panics
    /// It cannot be done.
    pub async fn empty(&self, url: &str) {
        let target = Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error:?}"));
        let (client, connection) = target.connect().await.unwrap_or_else(|fail| panic!("{url}: {fail:?}"));
        let driver = tokio::spawn(connection);
        client.batch_execute(EMPTY).await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        drop(client);
        let _ = driver.await;
    }

    /// From now on nothing waits for the disk: for tests of much else. Commits are still whole, also across [`Server::stop`].
    ///
    /// # Panics
    /// The server refuses it.
    pub fn leave_syncs_out(&self) {
        self.execute("postgres", "ALTER SYSTEM SET fsync = off");
        self.execute("postgres", "SELECT pg_reload_conf()");
    }

    /// Has the server speak TLS with a certificate and its key from now on.
    ///
    /// # Panics
    /// It cannot.
    pub fn encrypt(&self, certificate: &Path, key: &Path) {
        for (from, name, setting) in [(certificate, "server.pem", "ssl_cert_file"), (key, "server.key", "ssl_key_file")] {
            let to = self.folder.join(name);
            fs::copy(from, &to).and_then(|_| fs::set_permissions(&to, fs::Permissions::from_mode(0o600))).unwrap_or_else(|e| panic!("{e}"));
            if is_root() {
                run(Command::new("chown").arg("postgres").arg(&to)).unwrap_or_else(|error| panic!("{error}"));
            }
            self.execute("postgres", &format!("ALTER SYSTEM SET {setting} = '{}'", to.display()));
        }
        self.execute("postgres", "ALTER SYSTEM SET ssl = on");
        self.execute("postgres", "SELECT pg_reload_conf()");
        while self.execute("postgres", "SHOW ssl").trim() != "on" {}
    }

    /// The port of loopback that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database.
    pub fn url(&self, name: &str) -> String {
        self.url_at(Ipv4Addr::LOCALHOST, name)
    }

    /// The same, at another address on which it listens.
    pub fn url_at(&self, address: Ipv4Addr, name: &str) -> String {
        format!("postgres://fourfold@{address}:{}/{name}?sslmode=disable", self.port)
    }

    /// Runs a statement beside the stores; its rows, a line each, columns parted by `|`.
    ///
    /// # Panics
    /// The server refuses it.
    pub fn execute(&self, database: &str, statement: &str) -> String {
        let mut psql = as_server(&self.programs.join("psql"), &self.folder);
        run(psql.args(self.psql(database)).args(["-c", statement])).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// Sessions of a database that wait for a lock.
    ///
    /// # Panics
    /// As [`Server::execute`].
    pub fn waiting(&self, database: &str) -> usize {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        let said = self.execute(database, count);
        said.trim().parse().unwrap_or_else(|_| panic!("no count: {said}"))
    }

    /// Ends the server at once, as a crash does.
    pub fn stop(&self) {
        let Some(mut child) = self.child().take() else { return };
        // `pg_ctl` tells the server itself, which `setpriv` became.
        let mut stop = as_server(&self.programs.join("pg_ctl"), &self.folder);
        let _ = run(stop.arg("-D").arg(self.folder.join("data")).args(["-m", "immediate", "-w", "stop"]));
        let _ = child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A process of tests ends without dropping what is static: a shell waits for its end, then ends the server and takes its folder.
fn end_with_this_process(server: &Server) {
    let script = "read -r line; \"$@\" stop >/dev/null 2>&1; rm -rf \"$FOLDER\"";
    let mut stop = as_server(&server.programs.join("pg_ctl"), &server.folder);
    stop.arg("-D").arg(server.folder.join("data")).args(["-m", "immediate", "-w"]);
    let words: Vec<_> = std::iter::once(stop.get_program()).chain(stop.get_args()).map(ToOwned::to_owned).collect();
    let watcher = Command::new("sh")
        .args(["-c", script, "sh"])
        .args(words)
        .env("FOLDER", &server.folder)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    // Its input ends with this process, and with that the shell's wait.
    if let Ok(watcher) = watcher {
        std::mem::forget(watcher);
    }
}

/// A program as the server's user, in the server's folder.
fn as_server(program: &Path, folder: &Path) -> Command {
    let mut command = match is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
            command
        }
        false => Command::new(program),
    };
    command.current_dir(folder).env_remove("PGHOST").env_remove("PGPORT").env("LC_ALL", "C.UTF-8");
    command
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What a program writes, where it ends well.
fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}
