//! Must compile: anyone may take a plan.

pub fn take(_: &fourfold_plan::PLAN) {}
