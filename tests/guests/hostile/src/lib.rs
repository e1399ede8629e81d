//! An authenticator that misbehaves as the request says. The tests check that the gateway survives it and lets no
//! request in.

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::io::Read;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portcullis_sdk::Response;
use portcullis_sdk::http;
use portcullis_sdk::log;
use portcullis_sdk::prelude::*;

/// Does what the header `X-Do` says.
pub struct Hostile(Settings);

settings! {
    pub struct Settings {
        /// The URL that `egress` fetches.
        #[serde(default)]
        pub url: String,
        /// Whether to panic before the first request.
        #[serde(default)]
        pub panic: bool,
    }
}

impl Authenticator for Hostile {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        assert!(!settings.panic, "requested by the test");
        Ok(Self(settings))
    }

    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal> {
        let alice = User::new("alice");
        let values = request.header("x-do");
        let command = values.first().map(|value| String::from_utf8_lossy(value)).unwrap_or_default();
        match command.as_ref() {
            "nothing bad" => Ok(alice.into()),
            "count" => Ok(User::new(count()).into()),
            command if command.starts_with("count, compute ") => {
                compute(command.trim_start_matches("count, compute ").parse().unwrap_or_default());
                Ok(User::new(count()).into())
            }
            "leak" => {
                std::mem::forget(std::hint::black_box(vec![1_u8; 9 << 20]));
                Ok(alice.into())
            }
            "ask for too much memory" => match Vec::<u8>::new().try_reserve_exact(32 << 20) {
                Ok(()) => Err(Refusal::unavailable("there was no limit")),
                Err(_) => Ok(alice.into()),
            },
            "read stdin" => match std::io::stdin().read(&mut [0]) {
                Ok(_) => Ok(alice.into()),
                Err(error) => Err(Refusal::unavailable(error.to_string())),
            },
            "begin a line" => {
                print!("a line without an end");
                std::io::Write::flush(&mut std::io::stdout()).map_err(|error| Refusal::unavailable(error.to_string()))?;
                Ok(alice.into())
            }
            "panic" => panic!("requested by the test"),
            "loop" => loop {
                std::hint::black_box(());
            },
            command if command.starts_with("compute ") => {
                compute(command.trim_start_matches("compute ").parse().unwrap_or_default());
                Ok(alice.into())
            }
            "recurse" => Ok(User::new(recurse(1).to_string()).into()),
            "eat memory" => eat_memory(),
            "talk" => {
                for line in 0..100_000 {
                    println!("line {line}");
                    eprintln!("{}", "x".repeat(10_000));
                }
                Ok(alice.into())
            }
            "say a lot" => {
                for line in 0..40 {
                    println!("line {line}");
                    eprintln!("line {line}");
                }
                Ok(alice.into())
            }
            "mutter" => {
                println!("a whole line");
                eprint!("a line in {} parts, ", 2);
                eprint!("of which none ends it \u{e9}");
                Ok(alice.into())
            }
            "whisper" => {
                log::debug("a detail");
                log::info("a fact");
                log::warn("a worry");
                Ok(alice.into())
            }
            "no name" => Ok(User::new("").into()),
            "long name" => Ok(User::new("a".repeat(257)).into()),
            "line break in the name" => Ok(User::new("alice\r\nX-Evil: 1").into()),
            "line break in a group" => Ok(alice.with_groups(["a\r\nX-Evil: 1"]).into()),
            "five thousand groups" => Ok(alice.with_groups(std::iter::repeat_n("group", 5000)).into()),
            "many groups" => Ok(alice.with_groups(std::iter::repeat_n("group", 100_000)).into()),
            "many attributes" => Ok((0..65).fold(alice, |user, n| user.with_attribute(n.to_string(), "")).into()),
            "long attribute" => Ok(alice.with_attribute("a", "x".repeat(5000)).into()),
            "huge attribute" => Ok(alice.with_attribute("a", "x".repeat(16 << 20)).into()),
            "line break in a header" => Ok(Grant::from(alice).with_response_header("x-a", "1\r\nX-Evil: 1")),
            "bad header name" => Ok(Grant::from(alice).with_response_header("x a", "1")),
            "framing header" => Ok(Grant::from(alice).with_response_header("content-length", "0")),
            "many headers" => {
                Ok((0..1000).fold(Grant::from(alice), |grant, n| grant.with_response_header(format!("x-{n}"), "1")))
            }
            "line break in a challenge" => {
                Err(Refusal::unauthenticated("no", Challenge::new("Basic").with("realm", "a\r\nX-Evil: 1")))
            }
            "informational status" => Err(Refusal::respond(Response::new(101))),
            "impossible status" => Err(Refusal::respond(Response::new(9999))),
            "huge body" => Err(Refusal::respond(Response::new(200).with_body(vec![b'x'; 16 << 20]))),
            "egress" => match http::get(&self.0.url).timeout(Duration::from_secs(1)).send() {
                Ok(_) => Ok(alice.into()),
                Err(error) => Err(Refusal::unavailable(error.to_string())),
            },
            "believe the answer" => match http::get(&self.0.url).timeout(Duration::from_millis(100)).send() {
                Ok(answer) => Ok(User::new(String::from_utf8(answer.body).expect("a name")).into()),
                Err(error) => Err(Refusal::unavailable(error.to_string())),
            },
            "wait for the answer" => match http::get(&self.0.url).send() {
                Ok(answer) if answer.body == b"alice" => Ok(alice.into()),
                Ok(_) => Err(Refusal::unavailable("no answer")),
                Err(error) => Err(Refusal::unavailable(error.to_string())),
            },
            _ => Err(Refusal::not_mine(None)),
        }
    }
}

/// A name for this instance, and how many requests asked for it.
fn count() -> String {
    static NAME: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));
    static REQUESTS: AtomicU32 = AtomicU32::new(0);
    format!("{:x} {}", *NAME, REQUESTS.fetch_add(1, Ordering::Relaxed) + 1)
}

/// Computes for about as many milliseconds, on a machine of 2024.
fn compute(amount: u64) {
    let mut state = 1_u64;
    for round in 0..amount * 1_000_000 {
        state = std::hint::black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round));
    }
}

#[allow(unconditional_recursion, reason = "it exhausts the stack")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(depth + 1)) + 1)
}

fn eat_memory() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

portcullis_sdk::export!(Hostile);
