//! What a subscriber asks for, and who it is.

use serde_json::{Value, json};

use super::MARKER;
use crate::random::Random;

/// Who watches.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its `sub`.
    pub user: String,
    /// Whether it sees everything.
    pub admin: bool,
    /// Its token.
    pub token: String,
}

/// Which rows are asked for; the marker always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All.
    All,
    /// Those over this amount.
    Over(i64),
    /// Those in a state.
    State(&'static str),
}

/// A watch.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `Order` or `Message`.
    pub entity: &'static str,
    /// Which rows.
    pub filter: Filter,
    /// Whether one member alone is shown, or all.
    pub slim: bool,
    /// For whom.
    pub caller: Caller,
}

/// The states of rows, the marker's apart.
pub(crate) const STATES: [&str; 4] = ["open", "paid", "public", "gone"];

impl Asked {
    /// Another watch for each number.
    pub fn random(caller: Caller, random: &mut Random) -> Asked {
        let entity = if random.below(2) == 0 { "Order" } else { "Message" };
        let filter = match random.below(4) {
            0 => Filter::All,
            1 | 2 => Filter::Over(random.below(90) as i64),
            _ => Filter::State(STATES[random.below(4) as usize]),
        };
        Asked { entity, filter, slim: random.below(2) == 0, caller }
    }

    /// All there is of an entity, for one who may see it.
    pub fn everything(caller: Caller, entity: &'static str) -> Asked {
        Asked { entity, filter: Filter::All, slim: false, caller }
    }

    /// `orders`
    pub(crate) fn plural(&self) -> String {
        format!("{}s", self.entity.to_lowercase())
    }

    /// As `filter` takes it.
    pub(crate) fn text(&self) -> Option<String> {
        match self.filter {
            Filter::All => None,
            Filter::Over(amount) => Some(format!("amount > {amount} || state == \"{MARKER}\"")),
            Filter::State(state) => Some(format!("state in [\"{state}\", \"{MARKER}\"]")),
        }
    }

    /// As `where` of GraphQL takes it.
    pub(crate) fn condition(&self) -> Value {
        match self.filter {
            Filter::All => Value::Null,
            Filter::Over(amount) => json!({ "or": [{ "amount": { "gt": amount } }, { "state": { "eq": MARKER } }] }),
            Filter::State(state) => json!({ "state": { "in": [state, MARKER] } }),
        }
    }

    /// The members that are shown, as REST names them.
    pub(crate) fn fields(&self) -> &'static [&'static str] {
        match (self.slim, self.entity) {
            (true, _) => &["id", "revision", "state"],
            (false, "Order") => &["id", "revision", "owner", "state", "amount", "text", "cost"],
            (false, _) => &["id", "revision", "room_id", "state", "amount", "text"],
        }
    }

    /// Whether a row is asked for.
    pub(crate) fn holds(&self, row: &Value) -> bool {
        row["state"] == MARKER
            || match self.filter {
                Filter::All => true,
                Filter::Over(amount) => row["amount"].as_i64().is_some_and(|of| of > amount),
                Filter::State(state) => row["state"] == state,
            }
    }
}
