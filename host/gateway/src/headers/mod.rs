//! What happens to the headers between a client and an upstream: what a client may not claim goes, what a proxy must
//! say comes. Each module is one rule; `flow` and `proxy` apply them in order.

pub(crate) mod credentials;
pub(crate) mod identity;
