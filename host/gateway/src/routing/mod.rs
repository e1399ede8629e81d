//! Decides by method, host and path: which route serves a request, and which patterns and templates apply to it. Paths are
//! parsed in `portcullis_wire::path`.

pub(crate) mod exceptions;
pub(crate) mod host;
pub(crate) mod literal;
pub(crate) mod method;
pub(crate) mod table;
pub(crate) mod template;

pub(crate) use self::method::is_served;
