//! Sources of the settings, for a model: the entity that each feeds, and its claims, are what the model says.

use std::sync::Arc;

use fourfold_connect::{Reading, SourceSettings};
use fourfold_model::{EntityId, Model, SharedModel};
use fourfold_op::json::did_you_mean;
use fourfold_op::{Claims, Principal};
use serde_json::{Map, Value as Json};

use crate::auth;
use crate::config::SourceConfig;

/// The issuer of a source's principal.
pub const SOURCE_ISSUER: &str = "source";

/// What a source is set to.
///
/// # Errors
/// An entity that the model has not; a claim that is missing or of another type.
pub fn settings(model: &SharedModel, config: &SourceConfig) -> Result<SourceSettings, String> {
    let wrong = |what: String| format!("the source `{}`: {what}", config.name);
    let entity = entity(model, &config.entity).map_err(wrong)?;
    Ok(SourceSettings {
        name: config.name.as_str().into(),
        kind: config.origin.kind().into(),
        topic: config.origin.topic().into(),
        reading: Reading { entity, mode: config.mode, key: config.key, key_prefix: config.key_prefix.clone() },
        principal: Arc::new(principal(model, SOURCE_ISSUER, &config.name, &config.claims).map_err(wrong)?),
        begin: config.begin,
        pace: config.pace,
    })
}

fn entity(model: &Model, name: &str) -> Result<EntityId, String> {
    let mut every = (0..model.entities.len()).filter_map(|index| u16::try_from(index).ok()).map(EntityId);
    every.find(|entity| model.entity(*entity).name == name).ok_or_else(|| {
        let near = did_you_mean(name, model.entities.iter().map(|entity| entity.name.as_str()));
        format!("the model has no entity `{name}`{near}")
    })
}

/// Who a connector is: its name, unless its claims say otherwise.
///
/// # Errors
/// A claim that is missing or of another type.
pub(crate) fn principal(model: &Model, issuer: &str, name: &str, claims: &Map<String, Json>) -> Result<Principal, String> {
    let subject = claims.get("sub").and_then(|subject| subject.as_str()).unwrap_or(name);
    let typed = auth::claims_of(model, claims).map_err(|error| error.replace("the token", "its `claims`"))?;
    Ok(Principal { issuer: issuer.into(), subject: subject.into(), claims: Claims(typed) })
}
