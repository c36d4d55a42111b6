//! From the wire to something that can be executed: [`request`] and [`accept`] read HTTP, [`document`] the text (within
//! [`limits`]), [`variables`] the values; [`compile`](mod@compile) makes operations and the shape of the answer of them.

pub(crate) mod accept;
pub(crate) mod compile;
pub(crate) mod document;
pub(crate) mod input;
pub(crate) mod limits;
pub(crate) mod literal;
pub(crate) mod request;
pub(crate) mod variables;
