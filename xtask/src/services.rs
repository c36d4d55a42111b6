//! Real services for tests on a bare machine: `cargo xtask services up|down|restart|kill|status [NAME…]`.
//!
//! Nothing is a container and nothing runs beside the tree: each service has a folder in `target/services`, listens on 127.0.0.1
//! alone, on a free port that it keeps, and is a process of its own that outlives the command. `target/services/addresses` has a
//! line `NAME ADDRESS` for each that is up.

mod daemon;
mod kafka;
mod postgres;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::workspace::Workspace;

/// What a service can do; each is one file beside this one.
struct Service {
    name: &'static str,
    /// Why it cannot run here, if it cannot.
    missing: fn() -> Option<String>,
    /// Installs it, and begins it on its ports; it is ready when this returns.
    up: fn(&Place) -> Result<(), String>,
    /// Asks it to end, and waits until it has.
    down: fn(&Place) -> Result<(), String>,
    /// Ends it as a crash would, children too.
    kill: fn(&Place) -> Result<(), String>,
    is_up: fn(&Place) -> bool,
    /// What a client is given.
    address: fn(&Place) -> Result<String, String>,
}

const SERVICES: &[Service] = &[postgres::SERVICE, kafka::SERVICE];

const USAGE: &str = "\
cargo xtask services COMMAND [NAME…]      NAME: postgres kafka (all of them where none is named)

  up        installs and starts, and prints the addresses; what is up already stays
  down      asks to end (TERM)
  restart   down, then up, on the same port over the same data
  kill      ends as a crash would (KILL)
  status    which are up, and where
  remove    down, and its data are gone
";

/// Runs a command over the named services, or all.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<bool, String> {
    let Some((command, names)) = arguments.split_first() else {
        print!("{USAGE}");
        return Ok(true);
    };
    let chosen = chosen(names)?;
    let home = workspace.target.join("services");
    for service in chosen {
        let place = Place { name: service.name, home: home.join(service.name) };
        fs::create_dir_all(&place.home).map_err(|error| format!("{}: {error}", place.home.display()))?;
        obey(service, command, &place)?;
    }
    note_addresses(&home)?;
    Ok(true)
}

/// Why a service cannot run here, if it cannot.
pub fn missing(name: &str) -> Option<String> {
    match SERVICES.iter().find(|service| service.name == name) {
        Some(service) => (service.missing)(),
        None => Some(format!("there is no service `{name}`")),
    }
}

/// A service that a command of ours needs: its address, and whether it was brought up for it.
pub fn needed(workspace: &Workspace, name: &'static str) -> Result<(String, bool), String> {
    let service = SERVICES.iter().find(|service| service.name == name).ok_or_else(|| format!("there is no service `{name}`"))?;
    let place = Place { name, home: workspace.target.join("services").join(name) };
    let was_up = (service.is_up)(&place);
    run(workspace, &["up".to_owned(), name.to_owned()])?;
    Ok(((service.address)(&place)?, !was_up))
}

/// PostgreSQL's own load.
pub fn pgbench() -> Option<PathBuf> {
    postgres::program("pgbench")
}

/// Where Kafka's tools are, once it was up.
pub fn kafka_jars(workspace: &Workspace) -> PathBuf {
    workspace.target.join("services").join("kafka").join("lib")
}

fn chosen(names: &[String]) -> Result<Vec<&'static Service>, String> {
    let known: Vec<&str> = SERVICES.iter().map(|service| service.name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("unknown service `{unknown}`; there are: {}", known.join(" ")));
    }
    Ok(SERVICES.iter().filter(|service| names.is_empty() || names.iter().any(|name| name == service.name)).collect())
}

fn obey(service: &Service, command: &str, place: &Place) -> Result<(), String> {
    match command {
        "up" => up(service, place),
        "down" => down(service, place),
        "restart" => down(service, place).and_then(|()| up(service, place)),
        "kill" if (service.is_up)(place) => (service.kill)(place),
        "kill" => Err(format!("{} is not up", service.name)),
        "status" => {
            let up = (service.is_up)(place);
            println!("{} {}", service.name, if up { (service.address)(place)? } else { "is not up".to_owned() });
            Ok(())
        }
        "remove" => down(service, place).and_then(|()| place.remove_data()),
        unknown => Err(format!("unknown command `{unknown}`\n\n{USAGE}")),
    }
}

fn up(service: &Service, place: &Place) -> Result<(), String> {
    if !(service.is_up)(place) {
        if let Some(why) = (service.missing)() {
            return Err(format!("{}: {why}", service.name));
        }
        let begun = Instant::now();
        (service.up)(place)?;
        eprintln!("{}: ready in {:.1} s", service.name, begun.elapsed().as_secs_f64());
    }
    println!("{} {}", service.name, (service.address)(place)?);
    Ok(())
}

fn down(service: &Service, place: &Place) -> Result<(), String> {
    if (service.is_up)(place) { (service.down)(place) } else { Ok(()) }
}

/// Writes the file in which tests look for what is up.
fn note_addresses(home: &Path) -> Result<(), String> {
    let mut text = String::new();
    for service in SERVICES {
        let place = Place { name: service.name, home: home.join(service.name) };
        if (service.is_up)(&place) {
            text.push_str(&format!("{} {}\n", service.name, (service.address)(&place)?));
        }
    }
    let file = home.join("addresses");
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Where a service lives.
struct Place {
    name: &'static str,
    home: PathBuf,
}

impl Place {
    fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    fn data(&self) -> PathBuf {
        match self.name {
            "postgres" => postgres::data(self),
            _ => self.file("data"),
        }
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.file(name)).ok().map(|text| text.trim().to_owned())
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        fs::write(self.file(name), text).map_err(|error| format!("{}: {error}", self.file(name).display()))
    }

    fn remove_data(&self) -> Result<(), String> {
        let data = self.data();
        match fs::remove_dir_all(&data) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", data.display())),
            _ => Ok(()),
        }
    }

    /// The port that it was given before, as long as nobody else has it; clients come back to it after a restart.
    fn port(&self, what: &str) -> Result<u16, String> {
        if let Some(port) = self.known_port(what)
            && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        {
            return Ok(port);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("no free port: {error}"))?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        self.write(what, &port.to_string())?;
        Ok(port)
    }

    fn known_port(&self, what: &str) -> Option<u16> {
        self.read(what)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_chosen_by_name_and_unknown_ones_refused() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let chosen_names = |of: &[&str]| chosen(&names(of)).map(|chosen| chosen.iter().map(|service| service.name).collect::<Vec<_>>());
        assert_eq!(chosen_names(&[]), Ok(vec!["postgres", "kafka"]));
        assert_eq!(chosen_names(&["kafka"]), Ok(vec!["kafka"]));
        assert_eq!(chosen_names(&["kafak"]), Err("unknown service `kafak`; there are: postgres kafka".to_owned()));
    }

    #[test]
    fn a_port_is_kept_until_another_has_it() {
        let home = std::env::temp_dir().join(format!("fourfold-services-{}", std::process::id()));
        fs::create_dir_all(&home).unwrap_or_default();
        let place = Place { name: "kafka", home: home.clone() };
        let first = place.port("port").unwrap_or_default();
        assert_eq!(place.port("port"), Ok(first));
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first));
        assert!(taken.is_ok() && place.port("port").is_ok_and(|port| port != first));
        fs::remove_dir_all(home).unwrap_or_default();
    }
}
