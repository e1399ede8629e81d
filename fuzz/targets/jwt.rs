//! Tokens: arbitrary ones, none of which is valid, and correctly signed ones with any header and claims.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_plugin_jwt::Jwt;
use portcullis_sdk::prelude::*;
use portcullis_sdk::testing::FakeHost;
use portcullis_sdk::testing::RequestBuilder;
use portcullis_sdk::testing::configure;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_800_000_000;

static SETTINGS: LazyLock<String> = LazyLock::new(|| {
    serde_json::json!({
        "issuers": [{
            "issuer": "https://idp.test",
            "audiences": ["https://app.test"],
            "algorithms": ["HS256"],
            "secret": std::str::from_utf8(SECRET).unwrap(),
        }],
        "groups_claim": "groups",
        "admin_claim": "admin",
        "attributes": { "email": "email" },
        "scopes": [],
    })
    .to_string()
});

fn signed(header: &[u8], claims: &[u8]) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    format!("{message}.{}", encode(signature.as_ref()))
}

portcullis_fuzz::target!(|input: &[u8]| {
    let host = FakeHost::start();
    host.set_unix_seconds(NOW);
    let plugin: Jwt = configure(&SETTINGS).unwrap();
    let ask = |token: &[u8]| {
        let value = [b"Bearer ", token].concat();
        plugin.authenticate(&RequestBuilder::get("/").header("authorization", value).build())
    };
    assert!(ask(input).is_err(), "a token can't be signed without the secret");
    let (header, claims) = match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (&br#"{"alg":"HS256"}"#[..], input),
    };
    if let Ok(grant) = ask(signed(header, claims).as_bytes()) {
        // Another parser than the plugin's reads the token.
        let header: serde_json::Value = serde_json::from_slice(header).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(claims).unwrap();
        assert!(header["alg"] == "HS256" && header.get("crit").is_none() && header.get("b64").is_none());
        assert_eq!(claims["iss"], "https://idp.test");
        assert!(
            claims["aud"] == "https://app.test"
                || claims["aud"]
                    .as_array()
                    .is_some_and(|all| all.contains(&"https://app.test".into()))
        );
        assert!(claims["exp"].as_f64().unwrap() + 61.0 > NOW as f64, "{grant:?}");
        assert!(claims["sub"].is_string());
    }
    assert!(host.requests().is_empty(), "no token makes the plugin send a request");
});
