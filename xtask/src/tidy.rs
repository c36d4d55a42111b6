//! What no compiler checks: the shape of the work tree. Each rule names the file and says what would be right.

mod code;
mod edges;
mod forged;
mod links;
mod purity;
mod text;

use crate::tally::Tally;
use crate::workspace::Workspace;

/// One thing that is wrong: `file:line: what, and what would be right`.
pub type Fault = String;

struct Rule {
    name: &'static str,
    check: fn(&Workspace) -> Result<Vec<Fault>, String>,
}

const RULES: &[Rule] = &[
    Rule { name: "crate edges", check: edges::check },
    Rule { name: "lints of every crate", check: edges::lints },
    Rule { name: "pure crates", check: purity::check },
    Rule { name: "file lengths", check: text::lengths },
    Rule { name: "words", check: text::words },
    Rule { name: "links of the documents", check: links::check },
    Rule { name: "forged plans", check: forged::check },
];

/// All rules, one check each.
pub fn run(workspace: &Workspace) -> Tally {
    let mut tally = Tally::default();
    for rule in RULES {
        let faults = (rule.check)(workspace).unwrap_or_else(|error| vec![error]);
        println!("{} {}", if faults.is_empty() { "ok  " } else { "FAIL" }, rule.name);
        for fault in &faults {
            println!("     {fault}");
        }
        tally.add(match faults.len() {
            0 => Tally::pass(),
            n => Tally::fail(format!("tidy: {}: {n} fault(s), the first: {}", rule.name, faults[0].lines().next().unwrap_or_default())),
        });
    }
    tally
}
