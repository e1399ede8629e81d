//! The host functions that the SDK calls. The native fake gateway provides the same names.

use std::time::Duration;

use super::bindings::portcullis::auth::cache;
use super::bindings::portcullis::auth::crypto;
use super::bindings::portcullis::auth::negotiate as wit;
use super::bindings::wasi::clocks::wall_clock;
use super::bindings::wasi::logging::logging;
use super::bindings::wasi::random::random as wasi_random;
use super::login_bindings::portcullis::auth::signing;
use crate::crypto::Algorithm;
use crate::log::Level;
use crate::negotiate::Accepted;
use crate::negotiate::Failure;

pub(crate) use super::fetch::Deadline;
pub(crate) use super::fetch::send;
pub(crate) use cache::add as cache_add;
pub(crate) use cache::delete as cache_delete;
pub(crate) use cache::get as cache_get;
pub(crate) use cache::set as cache_set;

pub(crate) fn verify(algorithm: Algorithm, key: &str, message: &[u8], signature: &[u8]) -> Result<bool, String> {
    crypto::verify(algorithm.into(), key.as_bytes(), message, signature)
}

pub(crate) fn verify_password(password: &[u8], hash: &str) -> Result<bool, String> {
    crypto::verify_password(password, hash)
}

pub(crate) fn sign(key: &str, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, String> {
    signing::sign(key, algorithm.into(), message)
}

pub(crate) fn random(size: usize) -> Vec<u8> {
    wasi_random::get_random_bytes(size as u64)
}

pub(crate) fn since_epoch() -> Duration {
    let now = wall_clock::now();
    Duration::new(now.seconds, now.nanoseconds)
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => logging::Level::Trace,
        Level::Debug => logging::Level::Debug,
        Level::Info => logging::Level::Info,
        Level::Warn => logging::Level::Warn,
        Level::Error => logging::Level::Error,
    };
    logging::log(level, "", message);
}

pub(crate) fn negotiate(acceptor: &str, token: &[u8]) -> Result<Accepted, Failure> {
    wit::accept(acceptor, token).map(Into::into).map_err(Into::into)
}
