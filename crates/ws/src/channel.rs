//! What a channel's name stands for: the one place that tells.

use fourfold_model::{EntityId, KEY, Model};
use fourfold_op::params::{Face, Pairs, percent_decode, query};
use fourfold_op::{Error, ErrorCode, json};

/// Characters of a channel's name.
const CHANNEL_CHARS_MAX: usize = 512;

/// Rows of an entity: REST's path and query, `people?name__startswith=A&fields=name` or `people/018f…`.
pub(crate) struct Rows<'a> {
    pub(crate) entity: EntityId,
    pub(crate) pairs: Pairs<'a>,
}

/// Reads a channel's name.
///
/// # Errors
/// `permission_denied` for what is no channel: one that is refused answers alike. `limit_exceeded`; `invalid_argument`.
pub(crate) fn parse<'a>(name: &'a str, model: &Model) -> Result<Rows<'a>, Error> {
    check_length(name)?;
    let (path, text) = name.split_once('?').unwrap_or((name, ""));
    let (plural, key) = path.split_once('/').map_or((path, None), |(plural, key)| (plural, Some(key)));
    let entity = model.entity_by_plural(plural).filter(|id| Face::WebSocket.shows(model.entity(*id)));
    let entity = entity.ok_or_else(|| unknown(name, plural, model))?;
    let mut pairs = query(text)?;
    if let Some(key) = key {
        pairs.push((model.entity(entity).field(KEY).name.to_string().into(), percent_decode(key)?));
    }
    Ok(Rows { entity, pairs })
}

/// A channel's name is bounded, whatever it stands for.
///
/// # Errors
/// `limit_exceeded`.
pub(crate) fn check_length(name: &str) -> Result<(), Error> {
    match name.chars().nth(CHANNEL_CHARS_MAX) {
        Some(_) => Err(Error::limit("channel_chars_max", CHANNEL_CHARS_MAX, "characters of a channel")),
        None => Ok(()),
    }
}

fn unknown(name: &str, plural: &str, model: &Model) -> Error {
    let shown = model.entities.iter().filter(|entity| Face::WebSocket.shows(entity));
    let near = json::did_you_mean(plural, shown.map(|entity| entity.plural.as_str()));
    let message = format!("no channel {} for this caller; expected the plural of an entity{near}", json::quoted(name));
    Error::new(ErrorCode::PermissionDenied, message)
}
