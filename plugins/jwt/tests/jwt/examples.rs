//! The examples of the README accept tokens of the shapes that the providers document, ask granted servers only, and refuse
//! the next best token.

use std::collections::BTreeMap;

use portcullis_sdk::Response;
use portcullis_sdk::User;
use portcullis_sdk::testing::RequestBuilder;
use serde_json::Value;
use serde_json::json;

use crate::gateway::*;
use crate::mint::P256;
use crate::mint::RSA;
use crate::mint::Signer;
use crate::mint::padded;

/// The examples by their headings, as JSON.
fn examples() -> BTreeMap<String, Value> {
    let readme = include_str!("../../README.md");
    let (_, providers) = readme.split_once("\n## Providers\n").unwrap();
    let sections = providers.split("\n### ").skip(1);
    sections
        .map(|section| {
            let (heading, text) = section.split_once('\n').unwrap();
            let lines = text.lines().filter_map(|line| {
                line.strip_prefix("    ")
                    .or_else(|| Some("").filter(|_| line.is_empty()))
            });
            let config: Value = toml::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap();
            (heading.to_owned(), config["authenticators"]["tokens"].clone())
        })
        .collect()
}

struct Case {
    provider: &'static str,
    signer: &'static Signer,
    /// Where the provider publishes what.
    published: Vec<(&'static str, Value)>,
    claims: Value,
    user: User,
    /// A claim that decides, and a value that is refused.
    refused: (&'static str, Value),
}

const TENANT: &str = "0f6c0b7e-0000-4000-8000-000000000001";
const SIGNER: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/gateway/1234567890abcdef";

fn keys() -> Value {
    json!({"keys": [RSA.jwk_with_id("k1")]})
}

fn discovery(issuer: &str, jwks_uri: &str) -> Value {
    json!({"issuer": issuer, "jwks_uri": jwks_uri, "response_types_supported": ["code"]})
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let entra = "https://login.microsoftonline.com/0f6c0b7e-0000-4000-8000-000000000001";
    let entra_keys = "https://login.microsoftonline.com/common/discovery/v2.0/keys";
    vec![
        Case {
            provider: "Microsoft Entra ID",
            signer: &RSA,
            published: vec![
                (
                    "https://login.microsoftonline.com/0f6c0b7e-0000-4000-8000-000000000001/v2.0/.well-known/openid-configuration",
                    discovery(&format!("{entra}/v2.0"), entra_keys),
                ),
                (entra_keys, keys()),
            ],
            claims: json!({
                "aud": "11111111-2222-3333-4444-555555555555", "iss": format!("{entra}/v2.0"), "ver": "2.0", "tid": TENANT,
                "azp": "a", "scp": "Dask.Use profile", "oid": "o-1", "sub": "pairwise", "preferred_username": "al@example.org",
                "groups": ["8f14e45f-ceea-467f-a0e6-0000"], "nbf": NOW - 9, "uti": "x", "aio": "y",
            }),
            user: User::new("al@example.org").with_groups(["8f14e45f-ceea-467f-a0e6-0000"]),
            refused: ("scp", json!("Other.Use")),
        },
        Case {
            provider: "Microsoft Entra ID, several tenants",
            signer: &RSA,
            published: vec![
                (
                    "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration",
                    discovery("https://login.microsoftonline.com/{tenantid}/v2.0", entra_keys),
                ),
                (entra_keys, keys()),
            ],
            claims: json!({
                "aud": "11111111-2222-3333-4444-555555555555", "iss": format!("{entra}/v2.0"), "tid": TENANT, "oid": "o-1",
            }),
            user: User::new("o-1"),
            refused: (
                "iss",
                json!("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"),
            ),
        },
        Case {
            provider: "Google",
            signer: &RSA,
            published: vec![
                (
                    "https://accounts.google.com/.well-known/openid-configuration",
                    discovery(
                        "https://accounts.google.com",
                        "https://www.googleapis.com/oauth2/v3/certs",
                    ),
                ),
                ("https://www.googleapis.com/oauth2/v3/certs", keys()),
            ],
            claims: json!({
                "iss": "https://accounts.google.com", "azp": "1234567890-abc.apps.googleusercontent.com",
                "aud": "1234567890-abc.apps.googleusercontent.com", "sub": "110169484474386276334", "hd": "example.org",
                "email": "al@example.org", "email_verified": true, "at_hash": "h",
            }),
            user: User::new("al@example.org"),
            refused: ("hd", json!("example.com")),
        },
        Case {
            provider: "Keycloak",
            signer: &RSA,
            published: vec![
                (
                    "https://id.example.org/realms/science/.well-known/openid-configuration",
                    discovery(
                        "https://id.example.org/realms/science",
                        "https://id.example.org/realms/science/protocol/openid-connect/certs",
                    ),
                ),
                (
                    "https://id.example.org/realms/science/protocol/openid-connect/certs",
                    json!({"keys": [
                        {"kid": "enc", "kty": "RSA", "alg": "RSA-OAEP", "use": "enc", "n": "AQAB", "e": "AQAB"},
                        with(with(RSA.jwk_with_id("k1"), "alg", "RS256"), "use", "sig"),
                    ]}),
                ),
            ],
            claims: json!({
                "jti": "j", "iss": "https://id.example.org/realms/science", "aud": ["dask-gateway", "account"], "typ": "Bearer",
                "azp": "notebook", "sub": "f3a1", "realm_access": {"roles": ["offline_access", "gateway-admin"]},
                "scope": "email profile", "preferred_username": "al",
            }),
            user: User::new("al")
                .with_groups(["offline_access", "gateway-admin"])
                .admin(true),
            refused: ("aud", json!("account")),
        },
        Case {
            provider: "Okta",
            signer: &RSA,
            published: vec![
                (
                    "https://example.okta.com/oauth2/default/.well-known/openid-configuration",
                    discovery(
                        "https://example.okta.com/oauth2/default",
                        "https://example.okta.com/oauth2/default/v1/keys",
                    ),
                ),
                ("https://example.okta.com/oauth2/default/v1/keys", keys()),
            ],
            claims: json!({
                "ver": 1, "jti": "AT.x", "iss": "https://example.okta.com/oauth2/default", "aud": "api://default",
                "cid": "0oa1", "uid": "00u1", "scp": ["openid", "dask"], "sub": "al@example.org", "groups": ["Everyone"],
            }),
            user: User::new("al@example.org").with_groups(["Everyone"]),
            refused: ("scp", json!(["openid"])),
        },
        Case {
            provider: "Auth0",
            signer: &RSA,
            published: vec![
                (
                    "https://example.eu.auth0.com/.well-known/openid-configuration",
                    discovery(
                        "https://example.eu.auth0.com/",
                        "https://example.eu.auth0.com/.well-known/jwks.json",
                    ),
                ),
                (
                    "https://example.eu.auth0.com/.well-known/jwks.json",
                    json!({"keys": [with(with(RSA.jwk_with_id("k1"), "x5c", json!(["MIIC"])), "x5t", "t")]}),
                ),
            ],
            claims: json!({
                "iss": "https://example.eu.auth0.com/", "sub": "auth0|123",
                "aud": ["https://gateway.example.org", "https://example.eu.auth0.com/userinfo"], "scope": "openid",
                "permissions": ["read:clusters"], "https://example.org/team": "physics",
            }),
            user: User::new("auth0|123")
                .with_groups(["read:clusters"])
                .with_attribute("team", "physics"),
            refused: ("iss", json!("https://example.eu.auth0.com")),
        },
        Case {
            provider: "AWS Cognito",
            signer: &RSA,
            published: vec![
                (
                    "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI/.well-known/openid-configuration",
                    discovery(
                        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
                        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI/.well-known/jwks.json",
                    ),
                ),
                (
                    "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI/.well-known/jwks.json",
                    keys(),
                ),
            ],
            claims: json!({
                "sub": "aaaa", "cognito:groups": ["scientists"], "token_use": "access", "scope": "openid",
                "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI", "client_id": "1example23456789",
                "username": "al",
            }),
            user: User::new("al").with_groups(["scientists"]),
            refused: ("token_use", json!("id")),
        },
        Case {
            provider: "GitLab CI",
            signer: &RSA,
            published: vec![
                (
                    "https://gitlab.com/.well-known/openid-configuration",
                    discovery("https://gitlab.com", "https://gitlab.com/oauth/discovery/keys"),
                ),
                ("https://gitlab.com/oauth/discovery/keys", keys()),
            ],
            claims: json!({
                "iss": "https://gitlab.com", "aud": "https://gateway.example.org", "namespace_path": "science",
                "sub": "project_path:science/sim:ref_type:branch:ref:main", "project_path": "science/sim", "user_login": "al",
                "ref": "main", "ref_type": "branch", "ref_protected": "true", "project_id": "1",
            }),
            user: User::new("science/sim").with_attribute("person", "al"),
            refused: ("ref_protected", json!("false")),
        },
        Case {
            provider: "GitHub Actions",
            signer: &RSA,
            published: vec![
                (
                    "https://token.actions.githubusercontent.com/.well-known/openid-configuration",
                    discovery(
                        "https://token.actions.githubusercontent.com",
                        "https://token.actions.githubusercontent.com/.well-known/jwks",
                    ),
                ),
                ("https://token.actions.githubusercontent.com/.well-known/jwks", keys()),
            ],
            claims: json!({
                "iss": "https://token.actions.githubusercontent.com", "aud": "https://gateway.example.org",
                "sub": "repo:science/sim:ref:refs/heads/main", "repository": "science/sim", "repository_owner": "science",
                "ref": "refs/heads/main", "actor": "al", "run_id": "1", "event_name": "push",
            }),
            user: User::new("science/sim"),
            refused: ("ref", json!("refs/pull/7/merge")),
        },
        Case {
            provider: "Kubernetes",
            signer: &RSA,
            published: vec![("https://kubernetes.default.svc/openid/v1/jwks", keys())],
            claims: json!({
                "aud": ["gateway"], "iss": "https://kubernetes.default.svc.cluster.local",
                "sub": "system:serviceaccount:science:sim",
                "kubernetes.io": {"namespace": "science", "serviceaccount": {"name": "sim", "uid": "u"}, "pod": {"name": "p"}},
            }),
            user: User::new("system:serviceaccount:science:sim").with_attribute("namespace", "science"),
            refused: ("kubernetes.io", json!({"namespace": "kube-system"})),
        },
        Case {
            provider: "Firebase",
            signer: &RSA,
            published: vec![(
                "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
                keys(),
            )],
            claims: json!({
                "iss": "https://securetoken.google.com/example-project", "aud": "example-project", "auth_time": NOW - 50,
                "user_id": "u1", "sub": "u1", "email": "al@example.org", "email_verified": true,
                "firebase": {"identities": {"email": ["al@example.org"]}, "sign_in_provider": "password"},
            }),
            user: User::new("u1").with_attribute("email", "al@example.org"),
            refused: ("firebase", json!({"sign_in_provider": "anonymous"})),
        },
        Case {
            provider: "Zitadel",
            signer: &RSA,
            published: vec![
                (
                    "https://example.zitadel.cloud/.well-known/openid-configuration",
                    discovery(
                        "https://example.zitadel.cloud",
                        "https://example.zitadel.cloud/oauth/v2/keys",
                    ),
                ),
                ("https://example.zitadel.cloud/oauth/v2/keys", keys()),
            ],
            claims: json!({
                "iss": "https://example.zitadel.cloud", "sub": "165617389845094785", "aud": ["69234237810729019"],
                "urn:zitadel:iam:org:project:roles": {"admin": {"165": "example.org"}, "user": {"165": "example.org"}},
            }),
            user: User::new("165617389845094785")
                .with_groups(["admin", "user"])
                .admin(true),
            refused: ("aud", json!(["1"])),
        },
        Case {
            provider: "AWS Application Load Balancer",
            signer: &P256,
            published: vec![(
                "https://public-keys.auth.elb.eu-west-1.amazonaws.com/k1",
                Value::String(P256.pem()),
            )],
            claims: json!({
                "sub": "1234567890", "name": "Al", "email": "al@example.org", "iss": "https://id.example.org/realms/science",
            }),
            user: User::new("al@example.org"),
            refused: ("iss", json!("https://id.example.org/realms/other")),
        },
    ]
}

/// A request with a token of this provider.
fn request(case: &Case, claims: &Value) -> RequestBuilder {
    let claims = with(with(claims.clone(), "exp", NOW + 300), "iat", NOW);
    match case.provider {
        "AWS Application Load Balancer" => {
            let header = json!({
                "typ": "JWT", "kid": "k1", "alg": "ES256", "iss": claims["iss"], "client": "c", "signer": SIGNER,
                "exp": NOW + 120,
            });
            RequestBuilder::get("/").header("x-amzn-oidc-data", padded(case.signer, &header, &claims))
        }
        _ => {
            let token = case
                .signer
                .token(&json!({"alg": "RS256", "kid": "k1", "typ": "JWT"}), &claims);
            RequestBuilder::get("/").header("authorization", format!("Bearer {token}"))
        }
    }
}

#[test]
fn the_example_of_every_provider_accepts_its_tokens() {
    let examples = examples();
    let cases = cases();
    assert_eq!(
        examples.keys().collect::<Vec<_>>(),
        BTreeMap::from_iter(cases.iter().map(|case| (case.provider.to_owned(), ())))
            .keys()
            .collect::<Vec<_>>()
    );
    for case in cases {
        let host = host();
        for (url, body) in &case.published {
            let body = body.as_str().map_or_else(|| body.to_string(), ToOwned::to_owned);
            host.answer(*url, Response::new(200).with_body(body));
        }
        let example = &examples[case.provider];
        let granted = send(&example["settings"], request(&case, &case.claims));
        assert_eq!(
            granted.map(|grant| grant.user),
            Ok(case.user.clone()),
            "{}",
            case.provider
        );
        let (claim, value) = &case.refused;
        let refused = send(
            &example["settings"],
            request(&case, &with(case.claims.clone(), claim, value.clone())),
        );
        assert!(refused.is_err(), "{}: {claim} {value}", case.provider);
        let granted = example["grants"]["http"].as_array().unwrap();
        for request in host.requests() {
            let is_granted = |grant: &Value| request.url.starts_with(&format!("{}/", grant.as_str().unwrap()));
            assert!(granted.iter().any(is_granted), "{}: {}", case.provider, request.url);
        }
    }
}
