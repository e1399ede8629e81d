//! One request, step by step: what it asks for, who sent it, whether they may, and what its upstream gets.

pub(crate) mod admission;
pub(crate) mod audit;
pub(crate) mod authorize;
pub(crate) mod flow;
mod forward;
pub(crate) mod outgoing;
mod preview;
pub(crate) mod target;

pub(crate) use self::flow::Gateway;
pub(crate) use self::preview::Ending;
pub(crate) use self::preview::Preview;
