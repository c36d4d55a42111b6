//! Must not compile: a plan has no default.

fn made<T: Default>() -> T {
    T::default()
}

pub fn forge() -> fourfold_plan::PLAN {
    made()
}
