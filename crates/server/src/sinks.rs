//! Sinks of the settings, for a model: their entities, filters and claims are what the model says.

use std::sync::Arc;

use fourfold_connect::SinkSettings;
use fourfold_engine::Interest;
use fourfold_model::{EntityId, Model, SharedModel, filter};
use fourfold_op::json::did_you_mean;

use crate::config::SinkConfig;
use crate::sources::principal;

/// The issuer of a sink's principal.
pub const SINK_ISSUER: &str = "sink";

/// What a sink is set to.
///
/// # Errors
/// An entity that the model has not, or that cannot be watched; a filter that does not fit; a claim that is missing or of another type.
pub fn settings(model: &SharedModel, config: &SinkConfig) -> Result<SinkSettings, String> {
    let wrong = |what: String| format!("the sink `{}`: {what}", config.name);
    let entities = entities(model, &config.entities).map_err(wrong)?;
    let interests = entities.into_iter().map(|entity| interest(model, entity, config.filter.as_deref()));
    Ok(SinkSettings {
        name: config.name.as_str().into(),
        kind: config.target.kind().into(),
        interests: interests.collect::<Result<_, _>>().map_err(wrong)?,
        principal: Arc::new(principal(model, SINK_ISSUER, &config.name, &config.claims).map_err(wrong)?),
        begin: config.begin,
        pace: config.pace,
    })
}

fn entities(model: &Model, names: &[String]) -> Result<Vec<EntityId>, String> {
    let every = || (0..model.entities.len()).filter_map(|index| u16::try_from(index).ok()).map(EntityId);
    if names.is_empty() {
        return Ok(every().filter(|entity| model.entity(*entity).is_watchable()).collect());
    }
    let one = |name: &String| {
        let found = every().find(|entity| model.entity(*entity).name == *name);
        let id = found.ok_or_else(|| {
            let near = did_you_mean(name, model.entities.iter().map(|entity| entity.name.as_str()));
            format!("the model has no entity `{name}`{near}")
        })?;
        match model.entity(id).is_watchable() {
            true => Ok(id),
            false => Err(format!("`{name}` cannot be watched: `fourfold check` says why")),
        }
    };
    names.iter().map(one).collect()
}

fn interest(model: &Model, entity: EntityId, text: Option<&str>) -> Result<Interest, String> {
    let filter = text.map(|text| filter(model, entity, text)).transpose();
    let filter = filter.map_err(|error| format!("its filter does not fit `{}`: {}", model.entity(entity).name, error.message))?;
    Ok(Interest { entity, filter, values: Vec::new() })
}
