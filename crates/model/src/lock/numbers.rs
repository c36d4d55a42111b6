//! Numbers of a lock: which may be given, and that none is given twice.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use smol_str::SmolStr;

use super::{Lock, LockedType, NUMBER_MAX};

/// These belong to protobuf itself.
const OF_PROTOBUF: RangeInclusive<u32> = 19_000..=19_999;

/// The number after `last`, or a free one when there is none.
pub(super) fn after(last: u32, used: &BTreeSet<u32>) -> u32 {
    let next = last + 1;
    let next = if OF_PROTOBUF.contains(&next) { OF_PROTOBUF.end() + 1 } else { next };
    if next <= NUMBER_MAX {
        return next;
    }
    // Only a lock that was written by hand comes here. 1 and 2 are the key's and the revision's.
    (3..=NUMBER_MAX).find(|number| !used.contains(number) && !OF_PROTOBUF.contains(number)).unwrap_or(NUMBER_MAX)
}

/// Two branches may have given one number to two names; only people know which is in use.
pub(super) fn check(lock: &Lock) -> Result<(), String> {
    let types = lock.types.iter().map(|(name, of)| (of.number, name));
    distinct("the model", types.chain(reserved_pairs(&lock.reserved)))?;
    for (name, of) in &lock.types {
        let members = of.members.iter().map(|(member, locked)| (locked.number, member));
        distinct(name, members.chain(reserved_pairs(&of.reserved)))?;
        fixed(name, of)?;
    }
    for (name, of) in &lock.enums {
        let values = of.values.iter().map(|(value, locked)| (locked.number, value));
        distinct(name, values.chain(reserved_pairs(&of.reserved)))?;
    }
    Ok(())
}

fn reserved_pairs(reserved: &BTreeMap<u32, SmolStr>) -> impl Iterator<Item = (u32, &SmolStr)> {
    reserved.iter().map(|(number, name)| (*number, name))
}

fn distinct<'a>(owner: &str, pairs: impl Iterator<Item = (u32, &'a SmolStr)>) -> Result<(), String> {
    let mut seen: BTreeMap<u32, &SmolStr> = BTreeMap::new();
    for (number, name) in pairs {
        if let Some(other) = seen.insert(number, name) {
            let hint = "remove the line of the one that was never released, it gets a new number";
            return Err(format!("number {number} of {owner} is given to both `{other}` and `{name}`: {hint}"));
        }
    }
    Ok(())
}

/// The key is 1 and the revision 2, and nothing else is; protobuf's own numbers are nobody's.
fn fixed(owner: &str, of: &LockedType) -> Result<(), String> {
    let members = of.members.iter().map(|(name, member)| (name.as_str(), member.number));
    for (name, number) in members.chain(of.reserved.iter().map(|(number, name)| (name.as_str(), *number))) {
        let expected = match name {
            _ if of.owned => 1..=NUMBER_MAX,
            "id" => 1..=1,
            "revision" => 2..=2,
            _ => 3..=NUMBER_MAX,
        };
        if !expected.contains(&number) || OF_PROTOBUF.contains(&number) {
            return Err(format!(
                "`{owner}.{name}` cannot have the number {number}: 1 is `id`, 2 is `revision`, protobuf keeps 19000 to 19999"
            ));
        }
    }
    Ok(())
}
