//! The gateway's public listener: it takes requests in, asks the authenticators of their route, and answers or forwards
//! them. The way of one request is in `flow`.

pub(crate) mod path;
