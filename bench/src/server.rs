//! The servers under load: started, pinned to a core of their own, and watched through `/proc`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Failure;
use crate::load::http1;

const SECRET: &str = "a secret that only this benchmark knows, of 32 bytes and more";

/// What is served, and where it keeps what it writes.
pub struct Place {
    /// Of Fourfold.
    pub binary: PathBuf,
    /// The folder of a model.
    pub model: PathBuf,
    /// Data and logs.
    pub out: PathBuf,
    /// Settings of Fourfold by their environment, and where it tells of itself, if anywhere.
    pub settings: Vec<(&'static str, String)>,
    pub admin: Option<String>,
}

impl Place {
    /// With nothing set.
    pub fn new(binary: &str, model: PathBuf, out: PathBuf) -> Place {
        Place { binary: binary.into(), model, out, settings: Vec::new(), admin: None }
    }
}

/// A running server, killed when dropped.
pub struct Server {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub authority: String,
    /// A token that may do anything.
    pub token: String,
}

/// Fourfold, and what was measured of its start.
pub struct Static {
    pub server: Server,
    pub notes: Vec<String>,
}

impl Server {
    /// The real binary, `serve`, over the example's data (which the first `dev` loads).
    pub fn fourfold(place: &Place) -> Result<Server, Failure> {
        let mut dev = Command::new(&place.binary);
        dev.arg("dev").arg(&place.model).args(["--listen", "127.0.0.1:0", "--admin", "off", "--data"]).arg(place.out.join("data"));
        dev.envs(place.settings.iter().map(|(name, value)| (name, value)));
        Server::start(dev, place)?.end()?;
        Server::serve(place)
    }

    /// The real binary, `serve`, over what is there.
    pub fn serve(place: &Place) -> Result<Server, Failure> {
        let secret = place.out.join("secret");
        std::fs::write(&secret, SECRET)?;
        let mut permit = Command::new("chmod");
        permit.arg("600").arg(&secret).status()?;
        let mut serve = Command::new(&place.binary);
        serve.arg("serve").arg(&place.model).args([
            "--listen",
            "127.0.0.1:0",
            "--log",
            "off",
            "--admin",
            place.admin.as_deref().unwrap_or("off"),
        ]);
        serve.arg("--data").arg(place.out.join("data"));
        serve.envs(place.settings.iter().map(|(name, value)| (name, value)));
        serve.env("FOURFOLD_AUTH_HS256_SECRET_FILE", &secret).env("FOURFOLD_AUTH_ISSUER", "bench").env("FOURFOLD_AUTH_AUDIENCE", "bench");
        // All load comes from one address.
        serve.env("FOURFOLD_LIMITS_CONNECTIONS_PER_ADDRESS_MAX", "0");
        Server::start(serve, place)
    }

    /// One of the bare servers of this program.
    pub fn baseline(place: &Place, kind: &str) -> Result<Server, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["baseline", kind, "--source"]).arg(source(&place.model)?).arg("--data").arg(place.out.join(kind));
        Server::start(command, place)
    }

    /// The bare server over the tables of a PostgreSQL database.
    pub fn bare_postgres(place: &Place, url: &str) -> Result<Server, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["baseline", "postgres", "--database", url]);
        Server::start(command, place)
    }

    /// The bare server that tells every socket what one says.
    pub fn bare_fanout(place: &Place) -> Result<Server, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["baseline", "fanout"]);
        Server::start(command, place)
    }

    fn start(command: Command, place: &Place) -> Result<Server, Failure> {
        let log = std::fs::File::options().create(true).append(true).open(place.out.join("servers.log"))?;
        let mut command = pinned(command);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let found = lines.by_ref().map_while(Result::ok).find_map(|line| authority(&line));
        std::thread::spawn(move || lines.for_each(drop));
        let Some(authority) = found else {
            let _ = child.kill();
            return Err(format!("a server printed no address; see {}/servers.log", place.out.display()).into());
        };
        Ok(Server { child, authority, token: token()? })
    }

    /// A method of the static gRPC service.
    pub fn url(&self, method: &str) -> String {
        format!("http://{}/baseline.v1.MusicService/{method}", self.authority)
    }

    /// SIGTERM, and waits.
    pub fn end(mut self) -> Result<(), Failure> {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err("the server does not end on SIGTERM".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// User and system time so far, in µs: the kernel has a process's in steps of 10 ms, a fifth of what an ingest by hand takes, and
    /// its threads' to the nanosecond, without those that have ended.
    pub fn cpu_micros(&self) -> Result<f64, Failure> {
        Ok(self.stepped_micros()?.max(self.threads_micros()?))
    }

    fn stepped_micros(&self) -> Result<f64, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("an odd /proc/PID/stat")?;
        let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        Ok(ticks * 10_000.0)
    }

    fn threads_micros(&self) -> Result<f64, Failure> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()))?;
        // One that ends meanwhile has no file.
        let times = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok());
        let nanoseconds: f64 = times.filter_map(|text| text.split_whitespace().next()?.parse::<f64>().ok()).sum();
        Ok(nanoseconds / 1000.0)
    }

    /// Files and connections that it has open.
    pub fn open_files(&self) -> Result<usize, Failure> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Connections that it has open, and its listeners. With many it takes milliseconds to tell them from files.
    pub fn open_sockets(&self) -> Result<usize, Failure> {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.flatten();
        let targets = open.filter_map(|file| std::fs::read_link(file.path()).ok());
        Ok(targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count())
    }

    /// Resident memory, in MiB.
    pub fn resident_mib(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How often the start is timed.
const STARTS: usize = 11;

impl Static {
    /// Ends the given server and starts it anew some times: until `/ready` answers, then its memory, then its size.
    pub async fn of(place: &Place, first: Server) -> Result<Static, Failure> {
        first.end()?;
        let mut times = Vec::new();
        let mut server = None;
        for _ in 0..STARTS {
            if let Some(server) = server.take() {
                Server::end(server)?;
            }
            let start = Instant::now();
            let started = Server::serve(place)?;
            http1::once(&started.authority, &http1::request("GET", "/ready", "", "", None)).await?;
            times.push(start.elapsed().as_secs_f64() * 1000.0);
            server = Some(started);
        }
        times.sort_by(f64::total_cmp);
        let server = server.ok_or("it never started")?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let notes = vec![
            format!(
                "cold start to a ready answer: {:.1} ms (median of {STARTS}; {:.1} to {:.1})",
                times[STARTS / 2],
                times[0],
                times[STARTS - 1]
            ),
            format!("resident memory, idle: {:.1} MiB", server.resident_mib()?),
            format!("binary: {:.1} MB", std::fs::metadata(&place.binary)?.len() as f64 / 1e6),
        ];
        Ok(Static { server, notes })
    }
}

/// The server on the first core, where `taskset` is there.
fn pinned(command: Command) -> Command {
    if !taskset() {
        return command;
    }
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", "0"]).arg(command.get_program()).args(command.get_args());
    pinned.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    pinned
}

/// The generator on the second.
pub fn pin_self() {
    if taskset() {
        let own = std::process::id().to_string();
        let _ = Command::new("taskset").args(["-a", "-c", "-p", "1", &own]).stdout(Stdio::null()).status();
    } else {
        println!("note: without `taskset` or a second core, server and generator share cores");
    }
}

fn taskset() -> bool {
    let there = Command::new("taskset").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    there && Path::new("/sys/devices/system/cpu/cpu1").exists()
}

fn authority(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("http://127.0.0.1:")?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("127.0.0.1:{port}"))
}

fn token() -> Result<String, Failure> {
    let _ = jsonwebtoken::crypto::CryptoProvider::install_default(&jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER);
    let expires = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + 86_400;
    let claims = serde_json::json!({"iss": "bench", "aud": "bench", "sub": "bench", "roles": ["admin"], "exp": expires});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    Ok(jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key)?)
}

/// The example's data file.
fn source(model: &Path) -> Result<std::path::PathBuf, Failure> {
    let mut files = std::fs::read_dir(model)?.flatten().map(|entry| entry.path());
    files
        .find(|path| path.extension().is_some_and(|ending| ending == "sqlite"))
        .ok_or_else(|| format!("no .sqlite file in {}", model.display()).into())
}

/// The model's package.
pub fn package(model: &Path) -> Result<String, Failure> {
    let mut files = std::fs::read_dir(model)?.flatten().map(|entry| entry.path());
    let file = files.find(|path| path.extension().is_some_and(|ending| ending == "fourfold")).ok_or("no model")?;
    let text = std::fs::read_to_string(file)?;
    let name = text.lines().find_map(|line| line.trim().strip_prefix("package "));
    Ok(name.ok_or("no package")?.trim().to_owned())
}
