//! A provider's discovery documents and key sets.
#![cfg_attr(feature = "libfuzzer", no_main)]

use portcullis_plugin_jwt::Jwt;
use portcullis_sdk::Response;
use portcullis_sdk::prelude::*;
use portcullis_sdk::testing::FakeHost;
use portcullis_sdk::testing::RequestBuilder;
use portcullis_sdk::testing::configure;

const ISSUER: &str = "https://idp.test";
/// `{"alg":"RS256","kid":"k"}`, claims that are valid until 2100, and a signature that no key has made.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoiYSIsInN1YiI6ImFsaWNlIiwiZXhwIjo0MTAyNDQ0ODAwfQ.c2lnbmF0dXJl";

portcullis_fuzz::target!(|input: &[u8]| {
    let (document, keys) = match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (input[..end].to_vec(), &input[end + 1..]),
        None => (
            format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{ISSUER}/jwks"}}"#).into_bytes(),
            input,
        ),
    };
    let host = FakeHost::start();
    host.set_unix_seconds(1_800_000_000);
    host.answer(
        format!("{ISSUER}/.well-known/openid-configuration"),
        Response::new(200).with_body(document),
    );
    host.answer(format!("{ISSUER}/jwks"), Response::new(200).with_body(keys));
    let settings = serde_json::json!({ "issuers": [{ "issuer": ISSUER, "audiences": ["a"], "discovery": true }] });
    let plugin: Jwt = configure(&settings.to_string()).unwrap();
    let request = || {
        RequestBuilder::get("/")
            .header("authorization", format!("Bearer {TOKEN}"))
            .build()
    };
    assert!(
        plugin.authenticate(&request()).is_err(),
        "no key verifies this signature"
    );
    let asked = host.requests().len();
    assert!(plugin.authenticate(&request()).is_err());
    // The metadata and the keys are fetched once at first, and once more because the token's key isn't among them.
    assert!(asked <= 4);
    assert_eq!(
        host.requests().len(),
        asked,
        "nothing is fetched again within the minimum interval"
    );
    for request in host.requests() {
        assert!(request.url.starts_with("https://"), "{}", request.url);
    }
});
