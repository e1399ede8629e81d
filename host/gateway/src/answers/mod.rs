//! The gateway's own responses: errors and refusals for API clients, and small pages for browsers.

pub(crate) mod html;
pub(crate) mod internal_pages;
pub(crate) mod jwks;
pub(crate) mod response;
pub(crate) mod revocations;
pub(crate) mod session_page;
pub(crate) mod whoami;
