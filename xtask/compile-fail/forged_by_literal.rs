//! Must not compile: the fields of a plan are private.

pub fn forge() -> fourfold_plan::PLAN {
    fourfold_plan::PLAN {}
}
