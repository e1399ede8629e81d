//! Errors for files that are not plugins and for wrong settings. They say what was found and what was expected.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't continue has failed"
)]

mod common;

use portcullis::Authenticator;
use portcullis::Component;
use portcullis::ConfigureError;
use portcullis::Engine;
use serde_json::json;

use self::common::ENGINE;
use self::common::built_in;

#[test]
fn the_error_says_what_a_file_is_instead_of_a_plugin() {
    let simple = portcullis_plugins::find("simple").unwrap();
    let later = replaced(
        simple,
        b"portcullis:auth/authenticator@0.2.0",
        b"portcullis:auth/authenticator@0.3.0",
    );
    let foreign = replaced(
        simple,
        b"portcullis:auth/authenticator@0.2.0",
        b"somebodys:else/authenticator@0.2.0x",
    );
    let role = replaced(
        simple,
        b"portcullis:auth/authenticator@0.2.0",
        b"portcullis:auth/authorizerXX@0.3.0x",
    );
    let types = replaced(simple, b"portcullis:auth/types@0.2.0", b"portcullis:auth/types@0.3.0");
    let wasi = replaced(
        portcullis_plugins::find("jwt").unwrap(),
        b"wasi:clocks/wall-clock@0.2.12",
        b"wasi:clocks/wall-clock@0.3.12",
    );
    let manifest = replaced(
        simple,
        b"{\"name\":\"portcullis-plugin-simple\"",
        b"{\"name\":\"portcullis-plugin-simple\n",
    );
    for (what, bytes, words) in [
        ("an empty file", &b""[..], "empty"),
        ("a text", b"#!/bin/sh", "no WebAssembly"),
        ("a core module", b"\0asm\x01\0\0\0", "core module"),
        ("an empty component", b"\0asm\x0d\0\x01\0", "exports nothing"),
        ("a truncated component", &simple[..simple.len() / 2], "not a valid one"),
        (
            "another version",
            &later,
            "asks for portcullis:auth@0.3.0, and this program speaks portcullis:auth@0.2.0",
        ),
        (
            "another version of an import",
            &types,
            "asks for portcullis:auth@0.3.0, and this program speaks portcullis:auth@0.2.0",
        ),
        (
            "another version of WASI",
            &wasi,
            "asks for wasi:clocks/wall-clock@0.3.12, and this program speaks wasi:clocks/wall-clock@0.2",
        ),
        (
            "another role",
            &role,
            "has the role authorizerXX of portcullis:auth@0.3.0x, and this program, which speaks portcullis:auth@0.2.0",
        ),
        (
            "a damaged manifest",
            &manifest,
            "manifest (custom section \"portcullis:manifest\") is malformed",
        ),
        ("another contract", &foreign, "no plugin"),
    ] {
        let error = Component::new(&ENGINE, bytes).expect_err(what).to_string();
        assert!(error.contains(words), "{what}: {error}");
    }
}

#[test]
fn a_cached_component_is_the_same_as_a_compiled_one() {
    let folder = tempfile::tempdir().unwrap();
    let entries = || std::fs::read_dir(folder.path().join("cache")).unwrap().count();
    for _ in 0..2 {
        let engine = Engine::builder()
            .cache_directory(folder.path().join("cache"))
            .build()
            .unwrap();
        let component = Component::new(&engine, portcullis_plugins::find("simple").unwrap()).unwrap();
        assert_eq!(component.contract(), portcullis::CONTRACT);
        assert_eq!(entries(), 1);
    }
}

/// Somebody may damage the cache while plugins run.
#[tokio::test]
async fn a_cached_component_outlives_its_entry() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let load = || {
        let engine = Engine::builder().cache_directory(&cache).build().unwrap();
        Component::new(&engine, portcullis_plugins::find("simple").unwrap()).unwrap()
    };
    drop(load());
    let component = load();
    for entry in std::fs::read_dir(&cache).unwrap() {
        std::fs::write(entry.unwrap().path(), [0; 100]).unwrap();
    }
    let schema = component.settings_schema(1 << 20).await.unwrap();
    assert_eq!(schema["type"], "object");
}

#[tokio::test]
async fn every_mistake_in_the_settings_is_reported_with_its_path() {
    let component = built_in("simple");
    let settings = json!({"pasword": "x", "realm": 7});
    let error = Authenticator::builder("simple", &component)
        .settings(settings)
        .build()
        .await
        .unwrap_err();
    let ConfigureError::Settings(errors) = error else {
        panic!("{error}")
    };
    let places: Vec<_> = errors.iter().map(|error| error.path.join(".")).collect();
    assert_eq!(places, ["pasword", "realm"], "{errors:?}");
    assert!(errors[0].known.contains(&"password".to_owned()), "{errors:?}");
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
        bytes.splice(at..at + from.len(), to.iter().copied());
    }
    assert!(
        bytes.windows(to.len()).any(|window| window == to),
        "nothing is replaced"
    );
    bytes
}
