//! The keys of assertions through time and in several gateways, checked by another implementation of the signature's verification.

use std::collections::BTreeMap;

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
use aws_lc_rs::signature::UnparsedPublicKey;
use serde_json::Value;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn at(hours: f64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs_f64(1_800_000_000.0 + hours * 3600.0)
}

fn assertions(roots: &[&Key]) -> Assertions {
    let config = AssertionConfig {
        rotation: HOUR,
        ..AssertionConfig::default()
    };
    Assertions::new(config, Vec::from_iter(roots.iter().map(|root| (*root).clone())))
}

fn claims() -> Claims<'static> {
    Claims {
        aud: "https://app.example",
        sub: "mÜller",
        groups: vec!["a", "b,c"],
        admin: false,
        authenticator: "tokens",
        attributes: BTreeMap::from([("email", "m@example.org")]),
        permits: BTreeMap::new(),
    }
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The claims of a token that one of the keys has signed, as a verifier has it.
fn verified(token: &str, jwks: &Bytes) -> Option<Value> {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let header = decoded(header);
    assert_eq!((&header["alg"], &header["typ"]), (&"ES256".into(), &"JWT".into()));
    let jwks: Value = serde_json::from_slice(jwks).unwrap();
    let key = jwks["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == header["kid"])?;
    assert_eq!(
        (&key["kty"], &key["crv"], &key["use"]),
        (&"EC".into(), &"P-256".into(), &"sig".into())
    );
    let coordinate = |name| BASE64_URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    public.verify(signed.as_bytes(), &signature).unwrap();
    Some(decoded(claims))
}

#[test]
fn an_assertion_says_who_the_user_is_for_a_minute() {
    let assertions = assertions(&[&Key::generate().unwrap()]);
    let token = assertions.sign(&claims(), at(0.0)).unwrap();
    let expected = json!({
        "iss": "portcullis",
        "aud": "https://app.example",
        "sub": "mÜller",
        "iat": 1_800_000_000,
        "exp": 1_800_000_060,
        "groups": ["a", "b,c"],
        "admin": false,
        "authenticator": "tokens",
        "attributes": { "email": "m@example.org" },
    });
    assert_eq!(verified(&token, &assertions.jwks(at(0.0)).unwrap()).unwrap(), expected);
}

#[test]
fn a_key_is_known_a_period_before_and_a_period_after_it_signs() {
    let root = Key::generate().unwrap();
    let token = assertions(&[&root]).sign(&claims(), at(0.0)).unwrap();
    for (hours, is_known) in [
        (-2.0, false),
        (-1.0, true),
        (0.0, true),
        (0.9, true),
        (1.9, true),
        (2.0, false),
    ] {
        // As another gateway with the same key would have it.
        let jwks = assertions(&[&root]).jwks(at(hours)).unwrap();
        assert_eq!(verified(&token, &jwks).is_some(), is_known, "{hours}");
    }
    let one = assertions(&[&root]);
    let ids = [0.0, 1.0, 0.0].map(|hours| {
        one.sign(&claims(), at(hours))
            .unwrap()
            .split('.')
            .next()
            .unwrap()
            .to_owned()
    });
    assert!(
        ids[0] != ids[1] && ids[0] == ids[2],
        "each period has its key, also when the clock is set back"
    );
}

#[test]
fn a_key_of_the_sessions_can_be_replaced() {
    let [old, new] = [Key::generate().unwrap(), Key::generate().unwrap()];
    // First the new one is added, so that verifiers know it; then it signs; then the old one goes.
    let steps = [vec![&old], vec![&old, &new], vec![&new, &old], vec![&new]];
    for (index, known) in steps.windows(2).enumerate() {
        let [before, after] = [&known[0], &known[1]].map(|roots| assertions(roots));
        for (signer, verifier) in [(&before, &after), (&after, &before)] {
            let token = signer.sign(&claims(), at(0.0)).unwrap();
            assert!(verified(&token, &verifier.jwks(at(0.0)).unwrap()).is_some(), "{index}");
        }
    }
    let token = assertions(&[&new]).sign(&claims(), at(0.0)).unwrap();
    assert!(verified(&token, &assertions(&[&old]).jwks(at(0.0)).unwrap()).is_none());
}

#[test]
fn verifiers_may_keep_the_keys_for_an_hour_at_the_most() {
    for (rotation, expected) in [(HOUR, HOUR), (24 * HOUR, HOUR)] {
        let config = AssertionConfig {
            rotation,
            ..AssertionConfig::default()
        };
        assert_eq!(Assertions::new(config, Vec::new()).jwks_lifetime(), expected);
    }
}
