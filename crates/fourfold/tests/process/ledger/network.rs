//! A network namespace for each node, each with a line to the database that can be cut in one direction.
//!
//! A line has two subnets: one for the database and one for those who ask the node. It is cut by a neighbour's wrong hardware address: what is
//! sent there arrives at nobody, and no side is told.

use std::net::Ipv4Addr;
use std::process::Command;

/// A hardware address that no interface has.
const NOBODY: &str = "02:00:00:00:00:99";

/// Namespaces and their lines, gone with it.
pub struct Network {
    /// Of this process's namespaces, and the third byte of its addresses.
    own: u32,
    nodes: usize,
}

impl Network {
    /// None, and a line that says why, where there can be none.
    pub fn new(nodes: usize) -> Option<Network> {
        let network = Network { own: std::process::id(), nodes };
        let made = (0..nodes).try_for_each(|node| network.make(node));
        if let Err(why) = &made {
            println!("skipped: lines to a database are not cut, for which network namespaces are needed (Linux, `ip`, root): {why}");
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "no network namespaces");
        }
        made.ok().map(|()| network)
    }

    fn make(&self, node: usize) -> Result<(), String> {
        let (name, here, there) = (self.name(node), self.interface(node, 'h'), self.interface(node, 'n'));
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {here} type veth peer name {there} netns {name}"))?;
        for (of_here, of_node) in [(self.database(node), self.client(node)), (self.asking(node), self.asked(node))] {
            ip(&format!("addr add {of_here}/30 dev {here}"))?;
            ip(&format!("-n {name} addr add {of_node}/30 dev {there}"))?;
        }
        ip(&format!("link set {here} up"))?;
        ip(&format!("-n {name} link set {there} up"))?;
        ip(&format!("-n {name} link set lo up"))
    }

    fn name(&self, node: usize) -> String {
        format!("fourfold-{}-{node}", self.own)
    }

    fn interface(&self, node: usize, end: char) -> String {
        format!("ff{}{end}{node}", self.own)
    }

    /// Of the addresses that are for tests of networks (RFC 2544), four for each subnet.
    fn address(&self, node: usize, at: usize) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, (self.own % 256) as u8, (node * 8 + at) as u8)
    }

    /// Where the database is to a node.
    pub fn database(&self, node: usize) -> Ipv4Addr {
        self.address(node, 1)
    }

    fn client(&self, node: usize) -> Ipv4Addr {
        self.address(node, 2)
    }

    fn asking(&self, node: usize) -> Ipv4Addr {
        self.address(node, 5)
    }

    /// Where a node is to those who ask it.
    pub fn asked(&self, node: usize) -> Ipv4Addr {
        self.address(node, 6)
    }

    /// A command in the namespace of a node.
    pub fn within(&self, node: usize, command: &Command) -> Command {
        let mut within = Command::new("ip");
        within.args(["netns", "exec", &self.name(node)]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => within.env(name, value),
                None => within.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            within.current_dir(folder);
        }
        within
    }

    /// From now on nothing of a node arrives at the database.
    pub fn silence_node(&self, node: usize) {
        let at = format!("{} dev {}", self.database(node), self.interface(node, 'n'));
        ip(&format!("-n {} neigh replace {at} lladdr {NOBODY} nud permanent", self.name(node))).unwrap();
    }

    /// From now on nothing of the database arrives at a node.
    pub fn silence_database(&self, node: usize) {
        let at = format!("{} dev {}", self.client(node), self.interface(node, 'h'));
        ip(&format!("neigh replace {at} lladdr {NOBODY} nud permanent")).unwrap();
    }

    /// Mends the line of a node.
    pub fn mend(&self, node: usize) {
        // Only the wrong one is there to be forgotten; the right one is asked for anew.
        let forget = |within: String, address: Ipv4Addr, interface| ip(&format!("{within}neigh del {address} dev {interface}"));
        let forgotten = [
            forget(format!("-n {} ", self.name(node)), self.database(node), self.interface(node, 'n')),
            forget(String::new(), self.client(node), self.interface(node, 'h')),
        ];
        assert!(forgotten.iter().any(Result::is_ok), "{forgotten:?}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for node in 0..self.nodes {
            // The line goes with its end in the namespace, unless that was never made.
            let _ = ip(&format!("link del {}", self.interface(node, 'h')));
            let _ = ip(&format!("netns del {}", self.name(node)));
        }
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
