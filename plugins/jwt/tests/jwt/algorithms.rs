//! Which signatures are valid. Only the algorithm of the key itself can make one valid.

use serde_json::Value;
use serde_json::json;

use crate::gateway::*;
use crate::mint;
use crate::mint::ED25519;
use crate::mint::P256;
use crate::mint::P384;
use crate::mint::P521;
use crate::mint::RSA;
use crate::mint::Signer;
use crate::mint::b64;

const SECRET: &str = "a secret that is long enough for every one of the HMAC algorithms";

fn every_key() -> Value {
    json!({"keys": [
        RSA.jwk_with_id("rsa"), P256.jwk_with_id("p256"), P384.jwk_with_id("p384"), P521.jwk_with_id("p521"), ED25519.jwk_with_id("ed25519"),
    ]})
}

fn with_secret(secret: &str) -> Value {
    json!({"issuers": [{"issuer": ISSUER, "audiences": [AUDIENCE], "secret": secret}]})
}

#[test]
fn every_algorithm_verifies_with_and_without_a_key_id() {
    let _host = host();
    let cases: [(&Signer, &str, &[&str]); 5] = [
        (&RSA, "rsa", &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
        (&P256, "p256", &["ES256"]),
        (&P384, "p384", &["ES384"]),
        (&P521, "p521", &["ES512"]),
        (&ED25519, "ed25519", &["EdDSA", "Ed25519"]),
    ];
    for (signer, kid, algorithms) in cases {
        for algorithm in algorithms {
            for header in [json!({"alg": algorithm, "kid": kid}), json!({"alg": algorithm})] {
                let token = signer.token(&header, &claims());
                assert_eq!(summary(ask(&with_keys(every_key()), &token)), "alice", "{header}");
            }
        }
    }
    let shared = Signer::Secret(SECRET.into());
    for algorithm in ["HS256", "HS384", "HS512"] {
        let token = shared.token(&json!({"alg": algorithm, "kid": "any"}), &claims());
        assert_eq!(summary(ask(&with_secret(SECRET), &token)), "alice", "{algorithm}");
    }
}

#[test]
fn a_changed_token_does_not_verify() {
    let _host = host();
    let token = token();
    let parts: Vec<&str> = token.split('.').collect();
    let forged = b64(with(claims(), "sub", "root").to_string().as_bytes());
    let other_header = b64(with(header(), "x", "y").to_string().as_bytes());
    let changed = [
        format!("{}.{forged}.{}", parts[0], parts[2]),
        format!("{other_header}.{}.{}", parts[1], parts[2]),
        mint::p256().token(&header(), &claims()),
        P384.token(&header(), &claims()),
    ];
    for token in changed {
        expect(
            ask(&settings(), &token),
            "401 invalid_token: no key of https://id.example.org verifies the signature",
        );
    }
}

/// Security case 7: the public key, which everyone has, is used as an HMAC secret (CVE-2026-39999 in APISIX).
#[test]
fn a_public_key_is_never_an_hmac_secret() {
    let _host = host();
    for signer in [&*RSA, &*P256, &*P384, &*ED25519] {
        let pem = signer.pem();
        let der = signer.der();
        let jwk = signer.jwk().to_string();
        let raw: Vec<u8> = der.iter().rev().take(65).rev().copied().collect();
        for secret in [
            pem.as_bytes(),
            pem.trim_end().as_bytes(),
            &der,
            jwk.as_bytes(),
            &raw,
            b"",
        ] {
            for kid in ["rsa", "p256", "p384", "ed25519", "unknown"] {
                let header = json!({"alg": "HS256", "kid": kid});
                let token = Signer::Secret(secret.to_owned()).token(&header, &claims());
                expect(
                    ask(&with_keys(every_key()), &token),
                    "401 invalid_token: the token is signed with HS256, but its issuer may only use EdDSA",
                );
                let by_pem = json!({"issuers": [{"issuer": ISSUER, "audiences": [AUDIENCE], "pem": pem}]});
                expect(
                    ask(&by_pem, &token),
                    "401 invalid_token: the token is signed with HS256",
                );
            }
        }
    }
}

/// Security case 8: a key without `alg` has the algorithms of its type, and a shared secret in a JWK Set is ignored.
#[test]
fn a_key_without_alg_is_bound_by_its_type_and_a_published_secret_is_ignored() {
    let _host = host();
    let oct = Signer::Secret(SECRET.into());
    let mut published = oct.jwk_with_id("oct");
    published["alg"] = "HS256".into();
    let settings = with_keys(json!({"keys": [published, RSA.jwk_with_id("rsa")]}));
    for header in [
        json!({"alg": "HS256", "kid": "oct"}),
        json!({"alg": "HS256", "kid": "rsa"}),
        json!({"alg": "HS256"}),
    ] {
        expect(
            ask(&settings, &oct.token(&header, &claims())),
            "401 invalid_token: the token is signed with HS256, but its issuer may only use",
        );
        let empty = Signer::Secret(Vec::new()).token(&header, &claims());
        expect(
            ask(&settings, &empty),
            "401 invalid_token: the token is signed with HS256",
        );
    }
    let token = P256.sign(
        "ES256",
        &json!({"alg": "ES256", "kid": "rsa"}).to_string(),
        claims().to_string().as_bytes(),
    );
    expect(
        ask(&settings, &token),
        "401 invalid_token: the token is signed with ES256, but the key that it names is for PS256, PS384",
    );
}

#[test]
fn a_public_key_algorithm_does_not_verify_with_a_secret() {
    let _host = host();
    let token = RSA.token(&json!({"alg": "RS256"}), &claims());
    expect(
        ask(&with_secret(SECRET), &token),
        "401 invalid_token: the token is signed with RS256, but its issuer may only use HS256, HS384, HS512",
    );
    let other = Signer::Secret(SECRET.to_uppercase().into_bytes()).token(&json!({"alg": "HS256"}), &claims());
    expect(ask(&with_secret(SECRET), &other), "401 invalid_token: no key");
    let short = Signer::Secret(SECRET.as_bytes()[..32].to_owned()).token(&json!({"alg": "HS512"}), &claims());
    expect(
        ask(&with_secret(&SECRET[..32]), &short),
        "401 invalid_token: the token is signed with HS512, but its issuer may only use HS256",
    );
}

#[test]
fn unsigned_tokens_are_refused() {
    let _host = host();
    let payload = b64(claims().to_string().as_bytes());
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        for signature in ["", "AA"] {
            let header = b64(json!({"alg": algorithm, "kid": "p256"}).to_string().as_bytes());
            let token = format!("{header}.{payload}.{signature}");
            expect(
                ask(&settings(), &token),
                &format!("401 invalid_token: the token is signed with {algorithm:?}, which is not supported"),
            );
        }
    }
    let unsigned = token().rsplit_once('.').unwrap().0.to_owned() + ".";
    expect(ask(&settings(), &unsigned), "401 invalid_token: no key");
}

/// Security case 33: signatures that are not two numbers of the curve's size, or that are zero (CVE-2022-21449).
#[test]
fn ecdsa_signatures_of_a_wrong_length_or_of_zeros_do_not_verify() {
    let _host = host();
    let token = token();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let order = [&[0xff; 4][..], &[0; 4], &[0xff; 8], &[0xbc; 16]].concat();
    let mut signatures: Vec<Vec<u8>> = [0, 1, 63, 65, 96, 132].iter().map(|length| vec![1; *length]).collect();
    signatures.extend([
        vec![0; 64],
        vec![0xff; 64],
        [vec![0; 32], vec![1; 32]].concat(),
        [order.clone(), order].concat(),
    ]);
    for bad in signatures {
        expect(
            ask(&settings(), &format!("{message}.{}", b64(&bad))),
            "401 invalid_token: no key",
        );
    }
    for bad in [&signature[..84], &format!("{signature}AA")] {
        expect(ask(&settings(), &format!("{message}.{bad}")), "401 invalid_token: ");
    }
}

#[test]
fn only_listed_algorithms_are_accepted() {
    let _host = host();
    let settings = with_issuer(with_keys(every_key()), "algorithms", json!(["ES256", "EdDSA"]));
    assert_eq!(
        summary(ask(&settings, &P256.token(&json!({"alg": "ES256"}), &claims()))),
        "alice"
    );
    assert_eq!(
        summary(ask(&settings, &ED25519.token(&json!({"alg": "EdDSA"}), &claims()))),
        "alice"
    );
    for algorithm in ["RS256", "PS256", "RS512"] {
        let token = RSA.token(&json!({"alg": algorithm, "kid": "rsa"}), &claims());
        expect(
            ask(&settings, &token),
            &format!(
                "401 invalid_token: the token is signed with {algorithm}, but its issuer may only use EdDSA, ES256"
            ),
        );
    }
}

#[test]
fn a_key_is_used_only_for_its_stated_purpose() {
    let _host = host();
    let rsa = |name, value| with_keys(json!({"keys": [with(RSA.jwk_with_id("rsa"), name, value), P256.jwk()]}));
    let ask_with = |settings: &Value, algorithm| {
        summary(ask(
            settings,
            &RSA.token(&json!({"alg": algorithm, "kid": "rsa"}), &claims()),
        ))
    };
    let only_ps256 = rsa("alg", json!("PS256"));
    assert_eq!(ask_with(&only_ps256, "PS256"), "alice");
    assert!(ask_with(&only_ps256, "RS256").contains("is signed with RS256, but the key that it names is for PS256"));
    for (name, value) in [
        ("use", json!("enc")),
        ("key_ops", json!(["encrypt"])),
        ("alg", json!("RSA-OAEP")),
    ] {
        assert!(ask_with(&rsa(name, value), "RS256").contains("no key of https://id.example.org has the id \"rsa\""));
    }
}
