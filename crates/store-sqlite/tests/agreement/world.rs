//! The model that expressions are about.

use std::sync::Arc;

use fourfold_model::{EntityId, Lock, SharedModel};

/// What filters are about.
pub const THING: EntityId = EntityId(0);
/// Who owns things.
pub const PERSON: EntityId = EntityId(1);
/// What things have.
pub const PART: EntityId = EntityId(2);

/// The model, anew at each call.
pub fn model() -> SharedModel {
    Arc::new(fourfold_model::load(include_str!("world.fourfold"), &Lock::default()).expect("world.fourfold").model)
}
