//! What happens to the headers between a client and an upstream: what a client may not claim goes, what a proxy must
//! say comes. Each module is one rule; `flow` and `proxy` apply them in order.

pub(crate) mod cookies;
pub(crate) mod credentials;
pub(crate) mod forwarded;
pub(crate) mod hop_by_hop;
pub(crate) mod identity;
mod spelling;

pub(crate) use self::spelling::fold;
pub(crate) use self::spelling::remove_where;
