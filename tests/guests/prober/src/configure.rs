//! What `configure` does, as the setting `configure` says, and what becomes of it.

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use crate::network;
use crate::portcullis::auth::cache;
use crate::portcullis::auth::crypto;
use crate::portcullis::auth::negotiate;
use crate::wasi::clocks::monotonic_clock;
use crate::wasi::clocks::wall_clock;
use crate::wasi::http::types::Fields;
use crate::wasi::logging::logging;
use crate::wasi::random::random;

static FOUND: OnceLock<String> = OnceLock::new();
static CALLS: AtomicU32 = AtomicU32::new(0);

pub fn configure(settings: &str) {
    let what = settings.split('"').nth(3).unwrap_or_default();
    let found = match what {
        "random" => random::get_random_u64().to_string(),
        "time" => {
            let now = wall_clock::now();
            format!("{}.{:09}", now.seconds, now.nanoseconds)
        }
        "hash" => RandomState::new().hash_one(what).to_string(),
        "memory" => vec![1_u8; 4 << 20].leak().len().to_string(),
        "crypto" => crypto::verify(crypto::Algorithm::Rs256, b"{}", b"", b"").is_err().to_string(),
        "cache" => cache::get("x").is_some().to_string(),
        "negotiate" => negotiate::accept("x", b"x").is_ok().to_string(),
        "http" => network::fetch("http://127.0.0.1:1/").unwrap_or_else(|error| error),
        "fields" => {
            std::mem::forget(Fields::new());
            String::new()
        }
        "pollable" => {
            std::mem::forget(monotonic_clock::subscribe_duration(1));
            String::new()
        }
        "pause" => {
            monotonic_clock::subscribe_duration(1).block();
            String::new()
        }
        "say" => {
            logging::log(logging::Level::Info, "configure", "configured");
            println!("configured");
            String::new()
        }
        _ => String::new(),
    };
    let _ = FOUND.set(found);
}

/// What `configure` found, how many calls this instance has seen, and a random number.
pub fn found() -> Vec<String> {
    let found = FOUND.get().cloned().unwrap_or_default();
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    vec![
        format!("found {found}"),
        format!("calls {calls}"),
        format!("random {}", random::get_random_u64()),
    ]
}
