//! What the tests of the core share: an engine, plugins and requests. Test guests are built when they are first used.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test is a crate of its own and uses a part of this"
)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::LazyLock;

use http::HeaderName;
use http::HeaderValue;
use http::header;
use portcullis::AuthRequest;
use portcullis::Authenticator;
use portcullis::Component;
use portcullis::Engine;
use portcullis::Grants;
use portcullis::Limits;
use serde_json::Value;

pub static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::builder().build().unwrap());

/// The guest of `tests/guests/hostile`, which does what the header `X-Do` says.
pub static HOSTILE: LazyLock<Component> = LazyLock::new(|| Component::new(&ENGINE, hostile_component()).unwrap());

/// The guest of `tests/guests/scripted`, which answers as the header `Authorization` says.
pub static SCRIPTED: LazyLock<Component> = LazyLock::new(|| Component::new(&ENGINE, guest("scripted")).unwrap());

pub fn built_in(name: &str) -> Component {
    Component::new(&ENGINE, portcullis_plugins::find(name).unwrap()).unwrap()
}

pub async fn simple(settings: Value) -> Authenticator {
    Authenticator::builder("simple", &built_in("simple"))
        .settings(settings)
        .build()
        .await
        .unwrap()
}

pub async fn hostile(limits: Limits) -> Authenticator {
    let grants = Grants {
        headers: vec![HeaderName::from_static("x-do"), header::AUTHORIZATION],
        ..Grants::default()
    };
    Authenticator::builder("hostile", &HOSTILE)
        .grants(grants)
        .limits(limits)
        .build()
        .await
        .unwrap()
}

/// A request with these headers.
pub fn request(headers: &[(&'static str, &str)]) -> Arc<AuthRequest> {
    let (parts, ()) = http::Request::get("http://app.test/a?b=c")
        .body(())
        .unwrap()
        .into_parts();
    let mut request = AuthRequest::from_parts(&parts);
    for (name, value) in headers {
        request
            .headers
            .append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    Arc::new(request)
}

pub fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    format!(
        "Basic {}",
        base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"))
    )
}

/// The bytes of [`HOSTILE`].
pub fn hostile_component() -> Vec<u8> {
    guest("hostile")
}

/// Builds a guest of `tests/guests`, which is not part of the workspace, like a plugin of a third party.
pub fn guest(name: &str) -> Vec<u8> {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests");
    // The end-to-end tests build theirs in the same place.
    let target = guests.join("../.state/guests");
    let mut cargo = Command::new(env!("CARGO"));
    for inherited in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
    ] {
        cargo.env_remove(inherited);
    }
    let built = cargo
        .args(["build", "--release", "--target", "wasm32-wasip2", "--target-dir"])
        .arg(&target)
        .current_dir(guests.join(name))
        .status();
    assert!(built.unwrap().success(), "the guest {name} doesn't build");
    let folder = std::fs::read_dir(target.join("wasm32-wasip2/release")).unwrap();
    let wasm = folder.map(|entry| entry.unwrap().path()).find(|path| {
        path.extension().is_some_and(|extension| extension == "wasm") && path.to_string_lossy().contains(name)
    });
    std::fs::read(wasm.unwrap()).unwrap()
}
