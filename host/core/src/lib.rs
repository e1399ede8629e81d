//! Ask sandboxed WebAssembly components who sent an HTTP request.

#![forbid(unsafe_op_in_unsafe_fn)]

pub mod decision;
mod request;

pub use request::AuthRequest;
