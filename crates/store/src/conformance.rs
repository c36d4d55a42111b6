//! What every store must do, as one suite that each store runs from a test of its own.
//!
//! Each case gets an empty store. Operations go the way of real ones, through `prepare` and `bind`, so a store that passes is one that the
//! engine can stand on. A case that fails panics with what it saw.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a suite of tests fails by panicking")]

/// A table of cases from the names of functions.
macro_rules! cases {
    ($($name:ident)*) => {
        pub(super) fn cases() -> Vec<super::Case> {
            vec![$((stringify!($name), |world| Box::pin($name(world)))),*]
        }
    };
}

mod filters;
pub mod fixture;
mod log;
mod pages;
mod retention;
mod rules;
pub mod world;
mod writes;

use std::sync::Arc;

use crate::store::{Later, Maintain};
pub use world::World;

/// Runs every case against stores that `make` makes, and tells all that failed.
///
/// # Panics
/// When a case fails.
pub async fn run(make: impl Fn() -> Later<'static, Arc<dyn Maintain>>) {
    let mut failed = Vec::new();
    let cases = filters::cases()
        .into_iter()
        .chain(pages::cases())
        .chain(rules::cases())
        .chain(writes::cases())
        .chain(log::cases())
        .chain(retention::cases());
    for (name, case) in cases {
        let world = World::new(make().await).await;
        if let Err(panic) = tokio::spawn(case(world)).await {
            let panic = panic.into_panic();
            let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            failed.push(format!("{name}: {}", text.unwrap_or_default()));
        }
    }
    assert!(failed.is_empty(), "{} cases failed:\n{}", failed.len(), failed.join("\n"));
}

type Case = (&'static str, fn(World) -> Later<'static, ()>);
