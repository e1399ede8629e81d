//! What a request's method and path lead to: the route that serves it, and what its segments are bound to. Paths themselves
//! are read in `portcullis_wire::path`.

pub(crate) mod exceptions;
mod method;
pub(crate) mod table;
pub(crate) mod template;

pub(crate) use self::method::is_served;
