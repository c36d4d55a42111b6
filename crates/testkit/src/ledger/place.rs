//! A place in the log, as a cursor says it: `epoch.position`, and of a list over PostgreSQL `epoch.position~snapshot`.

use super::Stop;

/// Everything up to a position, and what a snapshot had beyond it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The last position up to which it has everything.
    pub position: u64,
    shown: Option<Shown>,
}

/// PostgreSQL's `xmin:xmax:xip,xip,…`: which transactions had ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    xmin: u64,
    xmax: u64,
    running: Vec<u64>,
}

impl Place {
    /// Reads a cursor.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(cursor: &str) -> Result<Place, Stop> {
        parse(cursor).ok_or_else(|| Stop::Fault(format!("`{cursor}` is no cursor")))
    }

    /// The same, with everything up to another position.
    pub fn up_to(&self, position: u64) -> Place {
        Place { position, shown: self.shown.clone() }
    }

    /// Whether it may have something beyond its position.
    pub fn is_beyond(&self) -> bool {
        self.shown.is_some()
    }

    /// Whether it has what stands at a position, written by a transaction where the store says by which.
    pub fn has(&self, position: u64, xid: Option<u64>) -> bool {
        position <= self.position || self.shown.as_ref().zip(xid).is_some_and(|(shown, xid)| shown.had(xid))
    }
}

impl Shown {
    fn had(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && !self.running.contains(&xid))
    }
}

fn parse(cursor: &str) -> Option<Place> {
    let (_, place) = cursor.split_once('.')?;
    let (position, shown) = match place.split_once('~') {
        None => (place, None),
        Some((position, snapshot)) => (position, Some(snapshot_of(snapshot)?)),
    };
    Some(Place { position: position.parse().ok()?, shown })
}

fn snapshot_of(text: &str) -> Option<Shown> {
    let parts: Vec<&str> = text.split(':').collect();
    let [xmin, xmax, running] = parts[..] else { return None };
    let running = running.split(',').filter(|xid| !xid.is_empty()).map(|xid| xid.parse().ok()).collect::<Option<_>>()?;
    Some(Shown { xmin: xmin.parse().ok()?, xmax: xmax.parse().ok()?, running })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_place_has_what_is_up_to_it_and_what_its_snapshot_had() {
        let place = Place::parse("e.7~10:20:12,15").unwrap();
        let cases = [(7, 99, true), (8, 9, true), (8, 12, false), (8, 13, true), (8, 15, false), (8, 20, false), (8, 21, false)];
        cases.into_iter().for_each(|(position, xid, has)| assert_eq!(place.has(position, Some(xid)), has, "{position} of {xid}"));
        let whole = Place::parse("e.7").unwrap();
        assert!(whole.has(7, None) && !whole.has(8, None) && !whole.has(8, Some(1)));
        for none in ["", "e", "7", "e.x", "e.7~", "e.7~1:2", "e.7~1:2:x", "e.7~1:2:3:4"] {
            assert!(Place::parse(none).is_err(), "{none}");
        }
    }
}
