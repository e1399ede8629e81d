//! Compares decisions with those of the `jsonwebtoken` crate: every token that is accepted here is accepted there.
//! Where that crate is more lenient, the test says why.

use std::collections::HashSet;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::Validation;
use jsonwebtoken::jwk::Jwk;
use portcullis_sdk::testing::FakeHost;
use serde_json::Value;
use serde_json::json;

use crate::gateway::*;
use crate::mint::P256;

fn accepted_by_jsonwebtoken(token: &str) -> bool {
    let jwk: Jwk = serde_json::from_value(P256.jwk()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.required_spec_claims = HashSet::from(["exp", "iss", "aud"].map(str::to_owned));
    validation.validate_nbf = true;
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).is_ok()
}

#[test]
fn nothing_is_accepted_that_jsonwebtoken_refuses() {
    let _host = FakeHost::start();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let values = [
        json!(now - 1000),
        json!(now - 30),
        json!(now + 30),
        json!(now + 1000),
        json!(now as f64 + 30.5),
        json!(0),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!((now + 1000).to_string()),
        json!(null),
        json!([now + 1000]),
        json!({}),
        json!(true),
        json!(ISSUER),
        json!(AUDIENCE),
        json!([ISSUER]),
        json!([AUDIENCE]),
        json!([AUDIENCE, "x"]),
        json!([AUDIENCE, 1]),
        json!([]),
        json!(""),
        json!("x"),
    ];
    let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now + 1000, "iat": now});
    let (mut both, mut only_there) = (0, Vec::new());
    for name in ["iss", "aud", "exp", "nbf", "iat", "other"] {
        for value in &values {
            let token = P256.token(&header(), &with(claims.clone(), name, value.clone()));
            match (ask(&settings(), &token).is_ok(), accepted_by_jsonwebtoken(&token)) {
                (true, true) => both += 1,
                (true, false) => panic!("accepted only here: {name} {value}"),
                (false, true) => only_there.push(name),
                (false, false) => {}
            }
        }
    }
    assert!(both > 30, "{both}");
    // That crate accepts times past the year 9999, does not check iat, and takes iss as a list.
    let only_there: HashSet<_> = only_there.into_iter().collect();
    assert_eq!(only_there, HashSet::from(["exp", "iat", "iss"]));
}
