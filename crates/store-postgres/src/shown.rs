//! What a snapshot had: the text of PostgreSQL's `pg_snapshot`, as a list's cursor carries it.

/// A snapshot: `xmin:xmax:xip,xip,…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    xmin: u64,
    xmax: u64,
    /// Transactions between the two that had not ended, ascending.
    running: Vec<u64>,
}

impl Shown {
    /// Reads the text; `None` when it is something else.
    pub fn parse(text: &str) -> Option<Shown> {
        let mut parts = text.splitn(3, ':');
        let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let (xmin, xmax) = (number(parts.next()?)?, number(parts.next()?)?);
        let running = match parts.next()? {
            "" => Vec::new(),
            list => list.split(',').map(number).collect::<Option<Vec<_>>>()?,
        };
        let in_order = running.windows(2).all(|pair| pair[0] < pair[1]);
        let between = running.iter().all(|xid| (xmin..xmax).contains(xid));
        (xmin > 0 && xmin <= xmax && in_order && between).then_some(Shown { xmin, xmax, running })
    }

    /// Whether what a transaction wrote was there, given that it committed.
    pub fn had(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && self.running.binary_search(&xid).is_err())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_snapshot_has_what_ended_before_it() {
        let shown = Shown::parse("10:20:12,15").unwrap();
        for (xid, had) in [(9, true), (10, true), (12, false), (13, true), (15, false), (19, true), (20, false), (21, false)] {
            assert_eq!(shown.had(xid), had, "{xid}");
        }
        assert!(!Shown::parse("10:10:").unwrap().had(10));
    }

    #[test]
    fn other_texts_are_none() {
        for text in ["", "1:2", "a:b:c", "2:1:", "1:5:9", "1:5:3,2", "1:5:3,3", "0:1:", "+1:2:", "1:5:2,"] {
            assert_eq!(Shown::parse(text), None, "{text}");
        }
    }
}
