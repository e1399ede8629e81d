//! Settings that contradict each other are refused, with what would be right.

use super::*;

#[test]
fn contradictions_are_refused() {
    for (changes, expected) in [
        (json!({ "issuer": "http://id.example" }), "issuer: it must be https"),
        (json!({ "issuer": "" }), "issuer: it is empty"),
        (
            json!({ "tenants": ["a"] }),
            "tenants: the issuer has no place for a tenant",
        ),
        (
            json!({ "issuer": "https://id.example/{tid}", "tenants": ["a"] }),
            "metadata_url: an issuer with a place",
        ),
        (
            json!({ "issuer": "https://id.example/{tid}" }),
            "tenants: they are missing",
        ),
        (
            json!({ "metadata_url": "ftp://id.example" }),
            "metadata_url: it must be an https URL",
        ),
        (json!({ "client_id": "" }), "client_id: it is empty"),
        (json!({ "scope": "profile openid2" }), "scope: it must have openid"),
        (
            json!({ "authorization_parameters": { "state": "x" } }),
            "authorization_parameters: state is set by the login",
        ),
        (
            json!({ "authorization_parameters": { "response_mode": "form_post" } }),
            "authorization_parameters: response_mode",
        ),
        (json!({ "prompt": "none" }), "prompt: with none"),
        (json!({ "leeway": "2h" }), "leeway: it is more than one hour"),
        (json!({ "timeout": 0 }), "timeout: it must be at least one second"),
        (json!({ "valid_for": 0 }), "valid_for: it must be at least one second"),
        (
            json!({ "user_prefix": "a\n" }),
            "user_prefix: it has control characters",
        ),
        (
            json!({ "algorithms": ["HS256"] }),
            "algorithms: expected some of EdDSA, ES256",
        ),
        (json!({ "algorithms": [] }), "algorithms: expected some of"),
        (
            json!({ "token_endpoint_auth_method": "private_key_jwt" }),
            "signing_key: token_endpoint_auth_method",
        ),
        (json!({ "signing_key": "k" }), "signing_key: it signs with"),
        (
            json!({ "signing_key": "k", "client_secret": null, "token_endpoint_auth_method": "none" }),
            "signing_key: it signs",
        ),
        (
            json!({ "client_secret": null, "token_endpoint_auth_method": "client_secret_post" }),
            "client_secret: token_endpoint",
        ),
        (
            json!({ "token_endpoint_auth_method": "none" }),
            "client_secret: with token_endpoint_auth_method = \"none\"",
        ),
        (
            json!({ "end_session": false, "id_token_hint": true }),
            "end_session: with false",
        ),
        (
            json!({ "end_session_endpoint": "javascript:x" }),
            "end_session_endpoint: it must be an https URL",
        ),
        (json!({ "user_claim": [] }), "user_claim: the list is empty"),
        (json!({ "admin_groups": ["a"] }), "admin_groups: without groups_claim"),
        (json!({ "attributes": { "": "a" } }), "attributes: a name must have"),
        (json!({ "client_secrets": "x" }), "client_secrets"),
    ] {
        let error = testing::configure::<Oidc>(&with(changes.clone()).to_string()).unwrap_err();
        assert!(error.contains(expected), "{changes}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn nobody_comes_with_credentials() {
    let oidc = login(json!({}));
    let request = testing::RequestBuilder::get("/")
        .header("authorization", "Bearer x")
        .build();
    let refusal = portcullis_sdk::Authenticator::authenticate(&oidc, &request).unwrap_err();
    assert_eq!(refused(refusal), "not mine");
    assert!(!format!("{oidc:?}").contains("s3cret"));
}

#[test]
fn a_provider_on_this_machine_needs_no_tls() {
    login(json!({ "issuer": "http://127.0.0.1:8080/realms/a" }));
    login(json!({ "issuer": "http://id.internal", "insecure_http": true }));
}
