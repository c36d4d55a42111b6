//! Ids: indexes into the lists of one loaded model. They mean nothing beyond it.

/// An entity's index in [`Model::entities`](crate::Model::entities).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityId(pub u16);
/// An owned type's index in [`Model::owned`](crate::Model::owned).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnedId(pub u16);
/// An enum's index in [`Model::enums`](crate::Model::enums).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnumId(pub u16);
/// A field's index in its entity's or owned type's `fields`, and its slot in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u16);
/// A relation's index in [`Entity::relations`](crate::Entity::relations).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationId(pub u16);
/// A channel's index in [`Model::channels`](crate::Model::channels).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub u16);
/// A claim's index in [`Model::claims`](crate::Model::claims).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimId(pub u16);

/// The slot of the key in each entity's row.
pub const KEY: FieldId = FieldId(0);
/// The slot of the revision in each entity's row.
pub const REVISION: FieldId = FieldId(1);
