//! What the gateway answers itself: errors and refusals for clients of APIs, and small pages for people.

pub(crate) mod html;
pub(crate) mod internal_pages;
pub(crate) mod response;
pub(crate) mod whoami;
