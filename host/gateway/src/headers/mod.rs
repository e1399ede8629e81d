//! Rules for the headers between client and upstream: which ones are removed, and which ones the gateway sets. The
//! `pipeline` applies the rules in order.

pub(crate) mod cors;
pub(crate) mod credentials;
mod groups;
pub(crate) mod identity;
pub(crate) mod mapping;
pub(crate) mod origin;
pub(crate) mod subprotocol;
mod template;
