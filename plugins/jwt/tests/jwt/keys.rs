//! Keys in the settings. They may have any of the forms in which issuers hand them out.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_plugin_jwt::Jwt;
use portcullis_sdk::testing::configure;
use serde_json::Value;
use serde_json::json;

use crate::gateway::*;
use crate::mint::ED25519;
use crate::mint::P256;
use crate::mint::P384;
use crate::mint::P521;
use crate::mint::RSA;
use crate::mint::Signer;
use crate::mint::b64;
use crate::mint::pem;

fn with_source(name: &str, value: impl Into<Value>) -> Value {
    json!({"issuers": [with(json!({"issuer": ISSUER, "audiences": [AUDIENCE]}), name, value)]})
}

#[test]
fn keys_in_pem_verify_whatever_id_the_token_names() {
    let _host = host();
    let keys: [(&Signer, &str); 4] = [(&RSA, "RS256"), (&P256, "ES256"), (&P384, "ES384"), (&ED25519, "EdDSA")];
    for (signer, algorithm) in keys {
        for pem in [
            signer.pem(),
            signer.pem().trim_end().to_owned(),
            format!("\n  \t{}", signer.pem()),
            signer.pem().replace('\n', "\r\n"),
        ] {
            for source in ["pem", "jwks"] {
                for header in [json!({"alg": algorithm}), json!({"alg": algorithm, "kid": "2026"})] {
                    let answer = ask(&with_source(source, pem.as_str()), &signer.token(&header, &claims()));
                    assert_eq!(summary(answer), "alice", "{header} {pem}");
                }
            }
        }
    }
    let token = RSA.token(&json!({"alg": "PS384"}), &claims());
    assert_eq!(
        summary(ask(
            &with_source("pem", pem("RSA PUBLIC KEY", &RSA.pkcs1_der())),
            &token
        )),
        "alice"
    );
}

/// A certificate as `openssl req -x509` makes it.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBhjCCAS2gAwIBAgIUSn3eeKwiTn3VMS1DRuAOvVoV/CwwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOaWQuZXhhbXBsZS5vcmcwHhcNMjYxMTI2MjIwMzMwWhcNMzYx
MTIzMjIwMzMwWjAZMRcwFQYDVQQDDA5pZC5leGFtcGxlLm9yZzBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABC3hemWMMsr89ledYsWEkWk+Wir6jBIQw/LQ1u1eE2HL
vu7lfyxDT3cZfi+qtLhPskk99S5lCtsxT6uHfRj7e0ejUzBRMB0GA1UdDgQWBBSJ
pHhdiK4xp1YwnKzQB2MzxMLbJTAfBgNVHSMEGDAWgBSJpHhdiK4xp1YwnKzQB2Mz
xMLbJTAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIFV6hXWrGYiA
3ZEYXqDWrcKrjK3KAAZAQpBHg7i557oGAiAKvkJ0RAiVZhEVH7M9S7e8ovzFUHuI
x1xtpY5SUhgK2A==
-----END CERTIFICATE-----
";

/// Row C12 of the field reports.
#[test]
fn certificates_have_keys_too() {
    let _host = host();
    let keys: [(&Signer, &str); 5] = [
        (&RSA, "RS256"),
        (&P256, "ES256"),
        (&P384, "ES384"),
        (&P521, "ES512"),
        (&ED25519, "EdDSA"),
    ];
    for (signer, algorithm) in keys {
        let kty = signer.jwk()["kty"].clone();
        let token = signer.token(&json!({"alg": algorithm, "kid": "k"}), &claims());
        for version in [true, false] {
            let der = signer.certificate(version);
            let set = json!({"keys": [{"kty": kty, "kid": "k", "x5c": [BASE64_STANDARD.encode(&der), "AAAA"]}]});
            assert_eq!(summary(ask(&with_source("jwks", set), &token)), "alice", "{algorithm}");
            let in_pem = with_source("pem", pem("CERTIFICATE", &der));
            assert_eq!(summary(ask(&in_pem, &token)), "alice", "{algorithm}");
        }
    }
    expect(
        ask(&with_source("pem", CERTIFICATE), &token()),
        "401 invalid_token: no key of https://id.example.org verifies the signature",
    );
    // Google's form: an object of certificates by their ids.
    let by_id = json!({
        "a": pem("CERTIFICATE", &P256.certificate(true)),
        "b": pem("CERTIFICATE", &RSA.certificate(true)),
    });
    for form in [by_id.clone(), by_id.to_string().into()] {
        let settings = with_source("jwks", form);
        let signed = |kid: &str| ask(&settings, &P256.token(&json!({"alg": "ES256", "kid": kid}), &claims()));
        assert_eq!(summary(signed("a")), "alice");
        expect(
            signed("b"),
            "401 invalid_token: the token is signed with ES256, but the key that it names is for",
        );
        assert_eq!(
            summary(signed("c")),
            "401 invalid_token: no key of https://id.example.org has the id \"c\"; it has \"a\", \"b\""
        );
    }
    let of_another_type = json!({"keys": [{"kty": "RSA", "x5c": [BASE64_STANDARD.encode(P256.certificate(true))]}]});
    let error = configure::<Jwt>(&with_source("jwks", of_another_type).to_string()).unwrap_err();
    assert!(
        error.contains("has a certificate of another type (kty, x5c)"),
        "{error}"
    );
}

/// Providers leave out the zeros in front of a curve's coordinates, or add some.
#[test]
fn a_coordinate_is_the_same_number_in_any_size() {
    let _host = host();
    let curves: [(&Signer, &str); 3] = [(&P256, "ES256"), (&P384, "ES384"), (&P521, "ES512")];
    for (signer, algorithm) in curves {
        let token = signer.token(&json!({"alg": algorithm}), &claims());
        for name in ["x", "y"] {
            let jwk = signer.jwk();
            let number = BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
            for (changed, is_same) in [([&[0], &*number].concat(), true), ([&[1], &*number].concat(), false)] {
                let settings = with_source("jwks", with(jwk.clone(), name, b64(&changed)));
                match configure::<Jwt>(&settings.to_string()) {
                    Ok(_) => assert!(is_same, "{algorithm}: {name} of {} bytes", changed.len()),
                    Err(error) => assert!(!is_same, "{algorithm}: {name}: {error}"),
                }
                if is_same {
                    assert_eq!(summary(ask(&settings, &token)), "alice", "{algorithm}: {name}");
                }
            }
        }
    }
}

#[test]
fn an_id_of_a_key_has_a_bound() {
    let _host = host();
    for (length, expected) in [(256, "alice"), (257, "is too long (kid)")] {
        let id = "k".repeat(length);
        let settings = with_source("jwks", json!({"keys": [P256.jwk_with_id(&id)]}));
        let token = P256.token(&json!({"alg": "ES256", "kid": id}), &claims());
        let told = match configure::<Jwt>(&settings.to_string()) {
            Ok(_) => summary(ask(&settings, &token)),
            Err(error) => error,
        };
        assert!(told.contains(expected), "{length}: {told}");
    }
}

#[test]
fn several_keys_in_one_pem_are_all_used() {
    let _host = host();
    let settings = with_source(
        "pem",
        format!("the old key\n{}\nand the new one\n{}", P256.pem(), ED25519.pem()),
    );
    assert_eq!(
        summary(ask(&settings, &P256.token(&json!({"alg": "ES256"}), &claims()))),
        "alice"
    );
    assert_eq!(
        summary(ask(&settings, &ED25519.token(&json!({"alg": "EdDSA"}), &claims()))),
        "alice"
    );
    expect(ask(&settings, &RSA.token(&json!({"alg": "RS256"}), &claims())), "401 ");
}

#[test]
fn a_jwk_set_may_be_a_table_or_text_or_one_key() {
    let _host = host();
    let set = json!({"keys": [P256.jwk_with_id("p256")]});
    let forms = [
        set.clone(),
        set.to_string().into(),
        format!("{set:#}\n").into(),
        P256.jwk(),
        P256.jwk().to_string().into(),
    ];
    for form in forms {
        for source in ["jwks", "pem"] {
            if source == "pem" && !form.is_string() {
                continue;
            }
            assert_eq!(
                summary(ask(&with_source(source, form.clone()), &token())),
                "alice",
                "{form}"
            );
        }
    }
}

#[test]
fn a_secret_may_be_text_or_base64() {
    let _host = host();
    let bytes: Vec<u8> = (100..150).collect();
    let token = Signer::Secret(bytes.clone()).token(&json!({"alg": "HS256"}), &claims());
    let encoded = with_source("secret", b64(&bytes));
    let encoded = with_issuer(encoded, "secret_encoding", "base64");
    assert_eq!(summary(ask(&encoded, &token)), "alice");
    let text = with_source("secret", "correct horse battery staple, and then some");
    let shared = Signer::Secret(b"correct horse battery staple, and then some".to_vec());
    assert_eq!(
        summary(ask(&text, &shared.token(&json!({"alg": "HS256"}), &claims()))),
        "alice"
    );
}

#[test]
fn a_key_of_1024_bits_is_refused() {
    let weak = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDoEf401JUPxclpnjdxFjEupxh/
2bt+2UhiIiMs07p3JyUIgQfvjXBqmzDBEb8qipOkPRj6fqOOMFMqBYbyQKDXUrIA
4qrbBBXUCGOgPoqyly1l+rhH52e9OIPhiJKlH8bphb+WI2KVc3Orik+g2rNqUc/j
YpRHEkAa88iAeiFMBwIDAQAB
-----END PUBLIC KEY-----
";
    let error = configure::<Jwt>(&with_source("pem", weak).to_string());
    let error = error.unwrap_err();
    assert!(
        error.starts_with("issuers[0]: pem: ") && error.contains("wrong length"),
        "{error}"
    );
}

#[test]
fn anything_but_a_public_key_is_an_error_that_says_what_it_is() {
    let _host = host();
    let der = P256.der();
    let cases = [
        (pem("PRIVATE KEY", &der), "private key"),
        (pem("EC PRIVATE KEY", &der), "private key"),
        (pem("CERTIFICATE", &der), "neither a certificate nor a public key"),
        (pem("PUBLIC KEY", &der[..40]), "nor a public key of RSA"),
        (pem("PUBLIC KEY", b""), "malformed"),
        (pem("RSA PUBLIC KEY", &der), "nor a public key of RSA"),
        (
            pem("RSA PUBLIC KEY", &[RSA.pkcs1_der(), vec![0]].concat()),
            "nor a public key of RSA",
        ),
        (
            pem("PUBLIC KEY", &[der.clone(), vec![0]].concat()),
            "nor a public key of RSA",
        ),
        (pem("DH PARAMETERS", &der), "nor a public key of RSA"),
        (P256.pem().replace("MFk", "M!k"), "malformed"),
        (P256.pem().replace("-----END PUBLIC KEY-----", ""), "no end line"),
        (
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5".to_owned(),
            "neither a JWK Set nor public keys in PEM",
        ),
    ];
    for (text, problem) in cases {
        let settings = with_source("pem", text.as_str()).to_string();
        let error = configure::<Jwt>(&settings).unwrap_err();
        assert!(
            error.starts_with("issuers[0]: pem: ") && error.contains(problem),
            "{text}: {error}"
        );
    }
}
