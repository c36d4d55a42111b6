//! PostgreSQL, from the system's own package. It refuses to run as root, so root hands it to the user that the package made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Place, Service, daemon};
use crate::process::{exists, output};

pub const SERVICE: Service = Service { name: "postgres", missing, up, down, kill, is_up, address };

const PACKAGED: &str = "/usr/lib/postgresql/15/bin";
const USER: &str = "postgres";
const END_LIMIT: Duration = Duration::from_secs(30);
const REAP_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of a path at which a socket can be.
const SOCKET_PATH_MAX: usize = 80;

/// Small, and with all that change data capture asks for. `fsync` stays: tests kill it.
const SETTINGS: &str = "\
listen_addresses='127.0.0.1'
unix_socket_directories='SOCKETS'
wal_level=logical
max_wal_senders=4
max_replication_slots=4
shared_buffers=64MB
fsync=on
";

fn missing() -> Option<String> {
    if program("pg_ctl").is_none() {
        return Some(format!("PostgreSQL is not there: neither in {PACKAGED} nor on the path"));
    }
    (is_root() && output(Command::new("id").arg(USER)).is_err()).then(|| format!("root needs the user `{USER}` to hand it to"))
}

/// Of the release that is tried, else the one on the path.
pub fn program(name: &str) -> Option<PathBuf> {
    let packaged = Path::new(PACKAGED).join(name);
    if packaged.is_file() { Some(packaged) } else { exists(name).then(|| PathBuf::from(name)) }
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Its folder: in a tree that its user cannot enter, one in the folder for temporary files.
pub fn data(place: &Place) -> PathBuf {
    let data = place.file("data");
    if !is_root() || can_be_entered(&place.home) {
        return data;
    }
    // FNV-1a: the same tree, the same folder.
    let path = place.home.to_string_lossy();
    let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    std::env::temp_dir().join(format!("fourfold-postgres-{hash:016x}"))
}

/// Whether anybody may pass through every folder above.
fn can_be_entered(path: &Path) -> bool {
    path.ancestors().all(|folder| fs::metadata(folder).is_ok_and(|folder| folder.permissions().mode() & 0o001 != 0))
}

fn up(place: &Place) -> Result<(), String> {
    let data = place.data();
    fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
    if is_root() {
        output(Command::new("chown").arg(USER).arg(&data))?;
    }
    if !data.join("pg").join("PG_VERSION").is_file() {
        make(&data)?;
    }
    let port = place.port("port")?;
    let mut start = control(&data, &["-w", "-t", "60", "-o", &format!("-p {port}"), "start"])?;
    // `-w` returns when it answers; its output goes to the log, or `output` would wait for the server to end.
    start.arg("-l").arg(data.join("pg.log"));
    let status = start.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("pg_ctl: {status}; see {}", data.join("pg.log").display())),
        Err(error) => Err(format!("pg_ctl: {error}")),
    }
}

fn make(data: &Path) -> Result<(), String> {
    let folder = data.join("pg");
    let mut initdb = as_user("initdb", data)?;
    initdb.arg("-D").arg(&folder).args(["-U", "fourfold", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
    output(&mut initdb)?;
    let sockets = if data.as_os_str().len() <= SOCKET_PATH_MAX { data.display().to_string() } else { String::new() };
    let file = folder.join("postgresql.conf");
    let told = |error: std::io::Error| format!("{}: {error}", file.display());
    let text = fs::read_to_string(&file).map_err(told)?;
    fs::write(&file, format!("{text}\n{}", SETTINGS.replace("SOCKETS", &sockets))).map_err(told)
}

/// A program of PostgreSQL's, in a folder that its user may enter: else each of them warns.
fn as_user(name: &str, data: &Path) -> Result<Command, String> {
    let program = program(name).ok_or_else(|| format!("{name} is not there"))?;
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={USER}")).arg(format!("--regid={USER}")).args(["--clear-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(data);
    Ok(command)
}

fn control(data: &Path, arguments: &[&str]) -> Result<Command, String> {
    let mut command = as_user("pg_ctl", data)?;
    command.arg("-D").arg(data.join("pg")).args(arguments);
    Ok(command)
}

fn down(place: &Place) -> Result<(), String> {
    output(&mut control(&place.data(), &["-m", "fast", "-w", "stop"])?).map(drop)
}

/// The server and its children together, so that none is left to tidy up.
fn kill(place: &Place) -> Result<(), String> {
    let Some(pid) = pid(place) else { return Ok(()) };
    let mut all = vec![pid];
    all.extend(daemon::children(pid));
    daemon::signal("KILL", &all)?;
    all.into_iter().try_for_each(|pid| daemon::gone(pid, END_LIMIT))?;
    // The next server takes one that nobody has waited for yet for alive.
    daemon::reaped(pid, REAP_LIMIT)
}

fn pid(place: &Place) -> Option<u32> {
    let data = place.data();
    let text = fs::read_to_string(data.join("pg").join("postmaster.pid")).ok()?;
    let mark = data.join("pg").display().to_string();
    text.lines().next()?.trim().parse().ok().filter(|pid| daemon::is_ours(*pid, &mark))
}

fn is_up(place: &Place) -> bool {
    pid(place).is_some()
}

fn address(place: &Place) -> Result<String, String> {
    let port = place.known_port("port").ok_or_else(|| "postgres has no port yet".to_owned())?;
    Ok(format!("postgres://fourfold@127.0.0.1:{port}/postgres"))
}
