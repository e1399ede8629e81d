//! The examples of the README let in who comes from the provider, go only where they are granted, and keep others out.

use portcullis_sdk::User;

use super::*;

/// The examples by their headings, as JSON.
fn examples() -> BTreeMap<String, Value> {
    let readme = include_str!("../../README.md");
    let (_, providers) = readme.split_once("\n## Providers\n").unwrap();
    let sections = providers.split("\n### ").skip(1).map(|section| {
        let (heading, text) = section.split_once('\n').unwrap();
        let lines = text.lines();
        let code = lines.filter_map(|line| line.strip_prefix("    ").or_else(|| line.is_empty().then_some("")));
        let config: Value = toml::from_str(&code.collect::<Vec<_>>().join("\n")).unwrap();
        (heading.to_owned(), config["authenticators"]["login"].clone())
    });
    sections.collect()
}

struct Case {
    provider: &'static str,
    /// Endpoints in the metadata, and its issuer if it is another one than the example's.
    metadata: Value,
    claims: Value,
    userinfo: Value,
    user: User,
    /// Where a logout goes on, without the parameters.
    end: Option<&'static str>,
    /// Claims that keep the user out.
    refused: Value,
}

fn entra(tenant: &str) -> Value {
    let base = format!("https://login.microsoftonline.com/{tenant}");
    json!({
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"), "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"), "end_session_endpoint": format!("{base}/oauth2/v2.0/logout"),
        "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
        "authorization_response_iss_parameter_supported": null,
    })
}

fn at(base: &str, authorize: &str, token: &str, keys: &str, end: Option<&str>) -> Value {
    json!({
        "authorization_endpoint": format!("{base}{authorize}"), "token_endpoint": format!("{base}{token}"),
        "jwks_uri": format!("{base}{keys}"), "end_session_endpoint": end.map(|end| format!("{base}{end}")),
        "authorization_response_iss_parameter_supported": null,
    })
}

const TENANT: &str = "0f6c0b7e-0000-4000-8000-000000000001";

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let entra_user = json!({
        "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "tid": TENANT, "oid": "o-1", "sub": "pairwise",
        "preferred_username": "al@example.org", "roles": ["Dask.User"], "ver": "2.0",
    });
    let mut shared = entra("organizations");
    shared["issuer"] = json!("https://login.microsoftonline.com/{tenantid}/v2.0");
    vec![
        Case {
            provider: "Microsoft Entra ID",
            metadata: entra(TENANT),
            claims: entra_user.clone(),
            userinfo: json!({}),
            user: User::new("o-1")
                .with_groups(["Dask.User"])
                .with_attribute("email", "al@example.org"),
            end: Some("https://login.microsoftonline.com/0f6c0b7e-0000-4000-8000-000000000001/oauth2/v2.0/logout"),
            refused: json!({ "iss": "https://login.microsoftonline.com/t-9/v2.0" }),
        },
        Case {
            provider: "Microsoft Entra ID, several tenants",
            metadata: shared,
            claims: entra_user,
            userinfo: json!({}),
            user: User::new("o-1").with_groups(["Dask.User"]),
            end: Some("https://login.microsoftonline.com/organizations/oauth2/v2.0/logout"),
            refused: json!({ "iss": "https://login.microsoftonline.com/t-9/v2.0", "tid": "t-9" }),
        },
        Case {
            provider: "Google",
            metadata: json!({
                "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
                "token_endpoint": "https://oauth2.googleapis.com/token",
                "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
                "end_session_endpoint": null, "authorization_response_iss_parameter_supported": null,
            }),
            claims: json!({
                "sub": "110169484474386276334", "azp": "1234567890-abc.apps.googleusercontent.com", "hd": "example.org",
                "email": "al@example.org", "email_verified": true,
            }),
            userinfo: json!({}),
            user: User::new("al@example.org"),
            end: None,
            refused: json!({ "hd": null }),
        },
        Case {
            provider: "Keycloak",
            metadata: json!({
                "authorization_endpoint": "https://id.example.org/realms/science/protocol/openid-connect/auth",
                "token_endpoint": "https://id.example.org/realms/science/protocol/openid-connect/token",
                "jwks_uri": "https://id.example.org/realms/science/protocol/openid-connect/certs",
                "end_session_endpoint": "https://id.example.org/realms/science/protocol/openid-connect/logout",
            }),
            claims: json!({
                "typ": "ID", "azp": "gateway", "preferred_username": "al", "sid": "s",
                "realm_access": { "roles": ["offline_access", "gateway-admin"] },
            }),
            userinfo: json!({}),
            user: User::new("al")
                .with_groups(["offline_access", "gateway-admin"])
                .admin(true),
            end: Some("https://id.example.org/realms/science/protocol/openid-connect/logout"),
            refused: json!({ "azp": "other" }),
        },
        Case {
            provider: "Okta",
            metadata: at(
                "https://example.okta.com/oauth2/default/v1",
                "/authorize",
                "/token",
                "/keys",
                Some("/logout"),
            ),
            claims: json!({ "preferred_username": "al@example.org", "groups": ["Everyone"], "amr": ["pwd"] }),
            userinfo: json!({}),
            user: User::new("al@example.org").with_groups(["Everyone"]),
            end: Some("https://example.okta.com/oauth2/default/v1/logout"),
            refused: json!({ "aud": "0oa2example" }),
        },
        Case {
            provider: "Auth0",
            metadata: at(
                "https://example.eu.auth0.com",
                "/authorize",
                "/oauth/token",
                "/.well-known/jwks.json",
                Some("/oidc/logout"),
            ),
            claims: json!({ "sub": "auth0|5f7c", "https://example.org/roles": ["dask"] }),
            userinfo: json!({}),
            user: User::new("auth0|5f7c").with_groups(["dask"]),
            end: Some("https://example.eu.auth0.com/oidc/logout"),
            refused: json!({ "iss": "https://example.eu.auth0.com" }),
        },
        Case {
            provider: "GitLab",
            metadata: json!({
                "authorization_endpoint": "https://gitlab.com/oauth/authorize",
                "token_endpoint": "https://gitlab.com/oauth/token", "jwks_uri": "https://gitlab.com/oauth/discovery/keys",
                "userinfo_endpoint": "https://gitlab.com/oauth/userinfo",
                "end_session_endpoint": null, "authorization_response_iss_parameter_supported": null,
            }),
            claims: json!({ "sub": "4711", "groups_direct": ["science"] }),
            userinfo: json!({ "sub": "4711", "nickname": "al", "groups": ["science", "science/dask"] }),
            user: User::new("4711")
                .with_groups(["science", "science/dask"])
                .with_attribute("login", "al"),
            end: None,
            refused: json!({ "groups": ["evil"] }),
        },
        Case {
            provider: "AWS Cognito",
            metadata: json!({
                "authorization_endpoint": "https://example.auth.eu-west-1.amazoncognito.com/oauth2/authorize",
                "token_endpoint": "https://example.auth.eu-west-1.amazoncognito.com/oauth2/token",
                "jwks_uri": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI/.well-known/jwks.json",
                "end_session_endpoint": null, "authorization_response_iss_parameter_supported": null,
            }),
            claims: json!({ "token_use": "id", "cognito:username": "al", "cognito:groups": ["dask"] }),
            userinfo: json!({}),
            user: User::new("al").with_groups(["dask"]),
            end: Some("https://example.auth.eu-west-1.amazoncognito.com/logout"),
            refused: json!({ "aud": "other" }),
        },
        Case {
            provider: "Dex",
            metadata: at("https://dex.example.org", "/auth", "/token", "/keys", None),
            claims: json!({ "email": "al@example.org", "email_verified": true, "groups": ["dask"] }),
            userinfo: json!({}),
            user: User::new("al@example.org").with_groups(["dask"]),
            end: None,
            refused: json!({ "email_verified": false }),
        },
        Case {
            provider: "Authentik",
            metadata: at(
                "https://authentik.example.org/application/o",
                "/authorize/",
                "/token/",
                "/gateway/jwks/",
                Some("/gateway/end-session/"),
            ),
            claims: json!({ "preferred_username": "al", "groups": ["dask"], "uid": "u" }),
            userinfo: json!({}),
            user: User::new("al").with_groups(["dask"]),
            end: Some("https://authentik.example.org/application/o/gateway/end-session/"),
            refused: json!({ "iss": "https://authentik.example.org/application/o/other/" }),
        },
    ]
}

/// Whether a URL is one of these or below.
fn is_granted(grants: &Value, url: &str) -> bool {
    let url = url.split('?').next().unwrap();
    grants.as_array().unwrap().iter().any(|grant| {
        let rest = url.strip_prefix(grant.as_str().unwrap());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

#[test]
fn the_example_of_every_provider_logs_its_users_in() {
    let (examples, cases) = (examples(), cases());
    let named = BTreeMap::from_iter(cases.iter().map(|case| (case.provider.to_owned(), ())));
    assert!(examples.keys().eq(named.keys()), "{:?}", examples.keys());
    for case in cases {
        let name = case.provider;
        let (settings, grants) = (&examples[name]["settings"], &examples[name]["grants"]);
        let host = FakeHost::start();
        host.set_unix_seconds(NOW);
        let provider = FakeProvider::openid(&host, settings["issuer"].as_str().unwrap());
        provider.change_metadata(json!({ "pushed_authorization_request_endpoint": null }));
        provider.change_metadata(case.metadata);
        if let Some(url) = settings["metadata_url"].as_str() {
            provider.publish_metadata_at(url);
        }
        provider.change_claims(case.claims);
        provider.change_userinfo(case.userinfo);
        let oidc = configured(settings);
        let arrival = provider
            .through(&oidc)
            .unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
        assert_eq!(arrival.user, case.user, "{name}");
        let end = oidc.end(arrival.keep.as_deref(), "https://gateway.test/");
        assert_eq!(
            end.as_deref().map(|url| url.split('?').next().unwrap()),
            case.end,
            "{name}"
        );
        let start = oidc.begin(&flow()).unwrap().location;
        for url in [Some(start), end].into_iter().flatten() {
            assert!(is_granted(&grants["login"], &url), "{name}: {url}");
        }
        for request in host.requests() {
            assert!(is_granted(&grants["http"], &request.url), "{name}: {}", request.url);
        }
        provider.change_claims(case.refused.clone());
        let refused = outcome(provider.through(&oidc));
        assert!(refused.starts_with('4'), "{name}: {refused}");
    }
}
