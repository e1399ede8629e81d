//! Tests of the plugin with a fake acceptor. They cover the settings, the tokens and the principals.

use std::time::Duration;

use portcullis_sdk::negotiate::Accepted;
use portcullis_sdk::negotiate::Failure;
use portcullis_sdk::prelude::*;
use portcullis_sdk::testing::FakeHost;
use portcullis_sdk::testing::RequestBuilder;
use portcullis_sdk::testing::configure;
use serde_json::Value;
use serde_json::json;

use super::Kerberos;

const TEN_HOURS: u64 = 36_000;

fn plugin(more: Value) -> Kerberos {
    configure(&settings(more).to_string()).unwrap()
}

fn settings(more: Value) -> Value {
    let mut all = json!({ "acceptor": "http", "realms": ["EXAMPLE.TEST"], "strip_realm": "EXAMPLE.TEST" });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// Returns the decision about a valid token of this principal.
fn as_principal(plugin: &Kerberos, principal: &str) -> Result<Grant, Refusal> {
    let host = FakeHost::start();
    let accepted = Accepted::new(principal, TEN_HOURS).with_reply(*b"\x60\x00");
    host.negotiate("http", move |_| Ok(accepted.clone()));
    ask(plugin, "Negotiate YAA=")
}

fn ask(plugin: &Kerberos, authorization: &str) -> Result<Grant, Refusal> {
    plugin.authenticate(&RequestBuilder::get("/").header("authorization", authorization).build())
}

fn is_plain_401(refusal: &Result<Grant, Refusal>) -> bool {
    matches!(refusal, Err(Refusal::Unauthenticated(_, Some(c))) if *c == Challenge::new("Negotiate"))
}

#[test]
fn the_settings_decide_which_user_a_principal_is() {
    let more = json!({
        "realms": ["EXAMPLE.TEST", "OTHER.TEST"],
        "users": {
            "alice@FAR.TEST": "faraway",
            "HTTP/probe.example.test@EXAMPLE.TEST": "probe",
            r"odd\@name@EXAMPLE.TEST": "odd",
            "bob@EXAMPLE.TEST": "robert",
        },
        "rules": [
            { "principal": r"([a-z]+)/admin@EXAMPLE\.TEST", "user": "$1-admin" },
            { "principal": r"carol@.*", "user": "the-carol" },
        ],
    });
    let cases = [
        ("alice@EXAMPLE.TEST", Some("alice")),
        ("alice@OTHER.TEST", Some("alice@OTHER.TEST")),
        ("alice@FAR.TEST", Some("faraway")),
        ("bob@EXAMPLE.TEST", Some("robert")),
        ("bob@OTHER.TEST", Some("bob@OTHER.TEST")),
        ("carol@OTHER.TEST", Some("the-carol")),
        ("carol@FAR.TEST", None), // a rule does not allow another realm
        ("alice/admin@EXAMPLE.TEST", Some("alice-admin")),
        ("HTTP/probe.example.test@EXAMPLE.TEST", Some("probe")),
        (r"odd\@name@EXAMPLE.TEST", Some("odd")),
        // Principals that nothing names.
        ("alice/root@EXAMPLE.TEST", None),
        ("alice/admin@OTHER.TEST", None),
        ("HTTP/localhost@EXAMPLE.TEST", None),
        ("bob@FAR.TEST", None),
        ("alice@example.test", None),
        (r"alice\@EXAMPLE.TEST@FAR.TEST", None),
        (r"alice\@EXAMPLE.TEST@EXAMPLE.TEST", None),
        ("alice", None),
        ("@EXAMPLE.TEST", None),
        ("", None),
        (" alice@EXAMPLE.TEST", None),
        ("WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS", None),
    ];
    let plugin = plugin(more);
    for (principal, name) in cases {
        let decision = as_principal(&plugin, principal);
        match name {
            Some(name) => assert_eq!(decision.unwrap().user.name, name, "{principal}"),
            None => assert!(is_plain_401(&decision), "{principal}: {decision:?}"),
        }
    }
}

/// Row B7 of the field reports: what was found and what was expected.
#[test]
fn the_reason_names_the_principal_and_what_is_accepted() {
    let plugin = plugin(json!({ "realms": ["EXAMPLE.TEST", "OTHER.TEST"] }));
    for (principal, expected) in [
        (
            "bob@FAR.TEST",
            "the principal \"bob@FAR.TEST\" must be of the realm EXAMPLE.TEST or OTHER.TEST (settings: realms)",
        ),
        (
            "HTTP/a@EXAMPLE.TEST",
            "the principal \"HTTP/a@EXAMPLE.TEST\" is a service or has a role, and no rule names it (settings: rules)",
        ),
        (
            "alice",
            "the principal \"alice\" has an escaped name or no realm (settings: users)",
        ),
        (
            " a@EXAMPLE.TEST",
            "the principal \" a@EXAMPLE.TEST\" is no user: the user name starts or ends with whitespace",
        ),
    ] {
        let Err(Refusal::Unauthenticated(reason, _)) = as_principal(&plugin, principal) else {
            panic!("{principal} was accepted")
        };
        assert_eq!(reason, expected);
    }
}

#[test]
fn a_realm_is_kept_unless_it_is_stripped() {
    let kept: Kerberos = configure(r#"{"acceptor": "http", "realms": ["EXAMPLE.TEST"]}"#).unwrap();
    let grant = as_principal(&kept, "alice@EXAMPLE.TEST").unwrap();
    assert_eq!(grant.user.name, "alice@EXAMPLE.TEST");
}

#[test]
fn groups_and_admins_name_users_by_their_final_names() {
    let plugin = plugin(json!({
        "users": { "bob@EXAMPLE.TEST": "robert" },
        "groups": { "staff": ["alice", "robert"], "ml": ["alice"], "none": [], "b": ["bob"] },
        "admins": ["robert"],
    }));
    let alice = User::new("alice")
        .with_groups(["ml", "staff"])
        .with_attribute("principal", "alice@EXAMPLE.TEST");
    let robert = User::new("robert")
        .with_groups(["staff"])
        .admin(true)
        .with_attribute("principal", "bob@EXAMPLE.TEST");
    assert_eq!(as_principal(&plugin, "alice@EXAMPLE.TEST").unwrap().user, alice);
    assert_eq!(as_principal(&plugin, "bob@EXAMPLE.TEST").unwrap().user, robert);
}

#[test]
fn the_reply_is_sent_and_a_session_ends_with_the_ticket() {
    for (more, seconds) in [
        (json!({}), Some(TEN_HOURS)),
        (json!({ "valid_for": "1h" }), Some(3600)),
        (json!({ "valid_for": "12h" }), Some(TEN_HOURS)),
        (json!({ "valid_for": 0 }), None),
    ] {
        let grant = as_principal(&plugin(more), "alice@EXAMPLE.TEST").unwrap();
        assert_eq!(grant.valid_for, seconds.map(Duration::from_secs));
        let reply = ("www-authenticate".to_owned(), b"Negotiate YAA=".to_vec());
        assert_eq!(grant.response_headers, [reply]);
    }
    let host = FakeHost::start();
    host.negotiate("http", |_| Ok(Accepted::new("alice@EXAMPLE.TEST", 0)));
    let grant = ask(&plugin(json!({})), "Negotiate YAA=").unwrap();
    assert_eq!((grant.valid_for, grant.response_headers), (None, vec![]));
}

#[test]
fn invalid_tokens_are_refused_alike_and_a_failed_check_is_unavailable() {
    let plugin = plugin(json!({}));
    for (failure, unavailable) in [
        (Failure::Rejected, false),
        (Failure::NeedsAnotherLeg, false),
        (Failure::Denied, true),
        (Failure::Unavailable, true),
    ] {
        let host = FakeHost::start();
        host.negotiate("http", move |_| Err(failure));
        let decision = ask(&plugin, "Negotiate YAA=");
        let expected = if unavailable {
            matches!(decision, Err(Refusal::Unavailable(_)))
        } else {
            is_plain_401(&decision)
        };
        assert!(expected, "{failure:?}: {decision:?}");
        let named = matches!(&decision, Err(Refusal::Unavailable(why)) if why.contains("grants.negotiate"));
        assert_eq!(named, failure == Failure::Denied, "{decision:?}");
    }
}

#[test]
fn the_scheme_is_case_insensitive_and_malformed_tokens_are_not_checked() {
    let plugin = plugin(json!({}));
    let host = FakeHost::start();
    host.negotiate("http", |token| match token {
        b"\x60\x00" => Ok(Accepted::new("alice@EXAMPLE.TEST", 60)),
        token => panic!("checked {token:?}"),
    });
    for header in ["Negotiate YAA=", "negotiate YAA=", "NEGOTIATE  YAA="] {
        assert!(ask(&plugin, header).is_ok(), "{header}");
    }
    for header in ["Negotiate", "Negotiate ", "Negotiate !!!", "Negotiate YAA= x"] {
        assert!(is_plain_401(&ask(&plugin, header)), "{header}");
    }
    for header in ["", "Basic YTpi", "NTLM YAA=", "Bearer YAA=", "Kerberos YAA="] {
        assert_eq!(
            ask(&plugin, header),
            Err(Refusal::not_mine(Challenge::new("Negotiate"))),
            "{header}"
        );
    }
}

#[test]
fn wrong_settings_are_errors_that_name_the_setting() {
    for (more, expected) in [
        (json!({ "acceptor": "" }), "acceptor: it must not be empty"),
        (
            json!({ "realms": [], "strip_realm": null }),
            "realms: name at least one",
        ),
        (
            json!({ "realms": ["A@B"], "strip_realm": null }),
            "realms: \"A@B\" is not a realm",
        ),
        (
            json!({ "realms": [""], "strip_realm": null }),
            "realms: \"\" is not a realm",
        ),
        (json!({ "strip_realm": "X" }), "strip_realm: \"X\" is not among realms"),
        (json!({ "users": { "alice": "a" } }), "users: \"alice\" has no realm"),
        (json!({ "users": { "a@X": "" } }), "users: the user name for \"a@X\""),
        (
            json!({ "rules": [{ "principal": "(", "user": "x" }] }),
            "rules[0].principal: ",
        ),
        (
            json!({ "rules": [{ "principal": "a" }] }),
            "rules[0]: missing field `user`",
        ),
        (json!({ "realm": "X" }), "realm: unknown field"),
        (json!({ "valid_for": "soon" }), "valid_for: "),
    ] {
        let error = configure::<Kerberos>(&settings(more.clone()).to_string()).unwrap_err();
        assert!(error.starts_with(expected), "{more}: {error}");
    }
    let error = configure::<Kerberos>(r#"{"acceptor": "http"}"#).unwrap_err();
    assert!(error.contains("realms"), "{error}");
}

#[test]
fn only_the_authorization_header_is_read() {
    let host = FakeHost::start();
    host.negotiate("http", |_| Ok(Accepted::new("alice@EXAMPLE.TEST", 60)));
    let request = RequestBuilder::get("/")
        .header("authorization", "Negotiate YAA=")
        .build();
    plugin(json!({})).authenticate(&request).unwrap();
    assert_eq!(request.attributes_read(), ["header authorization"]);
}
