//! The host functions that the SDK calls in native builds. The fake gateway of the thread provides them; without one,
//! the cache is empty, no server is granted, and the clock is the real one.

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::time::Duration;

use super::clock;
use super::host;
use crate::Response;
use crate::crypto::Algorithm;
use crate::http::HttpError;
use crate::http::HttpRequest;
use crate::log::Level;
use crate::negotiate::Accepted;
use crate::negotiate::Failure;
use crate::url::Url;

pub(crate) fn cache_get(key: &str) -> Option<Vec<u8>> {
    host::with(|state| state.cached(key)).flatten()
}

pub(crate) fn cache_set(key: &str, value: &[u8], ttl_seconds: u32) {
    host::with(|state| state.store(key, value, ttl_seconds));
}

pub(crate) fn cache_add(key: &str, value: &[u8], ttl_seconds: u32) -> bool {
    host::with(|state| state.cached(key).is_none() && state.store(key, value, ttl_seconds)).unwrap_or(false)
}

pub(crate) fn cache_delete(key: &str) {
    host::with(|state| state.remove(key));
}

pub(crate) fn send(request: &HttpRequest, url: &Url, _: &Deadline) -> Result<Response, HttpError> {
    host::send(request, url)
}

/// The fake gateway answers at once, so its deadline never passes.
pub(crate) struct Deadline;

impl Deadline {
    pub(crate) const fn after(_: Duration) -> Self {
        Self
    }
}

pub(crate) fn since_epoch() -> Duration {
    host::with(|state| state.since_epoch()).unwrap_or_else(clock::real)
}

pub(crate) fn log(level: Level, message: &str) {
    host::with(|state| state.record(level, message));
}

pub(crate) fn negotiate(acceptor: &str, token: &[u8]) -> Result<Accepted, Failure> {
    host::negotiate(acceptor, token)
}

pub(crate) fn sign(key: &str, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, String> {
    host::sign(key, algorithm, message)
}

/// Random numbers for tests: the standard library's hash maps have the system's.
pub(crate) fn random(size: usize) -> Vec<u8> {
    let words = (0..size.div_ceil(8)).map(|index| RandomState::new().hash_one(index).to_ne_bytes());
    words.flatten().take(size).collect()
}

#[cfg(feature = "testing")]
pub(crate) fn verify(algorithm: Algorithm, key: &str, message: &[u8], signature: &[u8]) -> Result<bool, String> {
    super::signatures::verify(algorithm, key, message, signature)
}

#[cfg(feature = "testing")]
pub(crate) fn verify_password(password: &[u8], hash: &str) -> Result<bool, String> {
    super::passwords::verify(password, hash)
}

#[cfg(not(feature = "testing"))]
pub(crate) fn verify(_: Algorithm, _: &str, _: &[u8], _: &[u8]) -> Result<bool, String> {
    Err("to verify signatures in tests, enable the feature `testing` of portcullis-sdk".to_owned())
}

#[cfg(not(feature = "testing"))]
pub(crate) fn verify_password(_: &[u8], _: &str) -> Result<bool, String> {
    Err("to verify passwords in tests, enable the feature `testing` of portcullis-sdk".to_owned())
}
