//! Which requests policies permit.

use std::time::Duration;

use portcullis_sdk::Denial;
use portcullis_sdk::Principal;
use portcullis_sdk::User;
use portcullis_sdk::prelude::Authorizer;
use portcullis_sdk::testing::FakeHost;
use portcullis_sdk::testing::RequestBuilder;
use serde_json::json;

use crate::ask;
use crate::cedar;
use crate::forbidden;
use crate::request;
use crate::user;
use crate::with;

const API: &str = r#"
@id("readers") permit (principal, action in Action::"read", resource in Path::"/api");
@id("writers") permit (principal in Group::"writers", action in Action::"write", resource in Path::"/api/v1");
@id("frozen") forbid (principal, action in Action::"write", resource in Path::"/api/v1/frozen") unless { principal.admin };
"#;

/// 2026-11-29T02:30:00Z.
const SUNDAY: u64 = 1_795_919_400;

#[test]
fn what_no_policy_permits_is_denied_and_what_one_forbids_too() {
    let api = with(API);
    let alice = user("alice", &["writers"]);
    let bob = user("bob", &[]);
    for (method, path, who, expected) in [
        ("GET", "/api", &bob, None),
        ("GET", "/api/", &bob, None),
        ("HEAD", "/api/v1/x", &bob, None),
        ("GET", "/apis", &bob, Some("no policy permits it")),
        ("GET", "/", &bob, Some("no policy permits it")),
        ("POST", "/api/v1/x", &bob, Some("no policy permits it")),
        ("POST", "/api/v1/x", &alice, None),
        ("POST", "/api/v2/x", &alice, Some("no policy permits it")),
        (
            "DELETE",
            "/api/v1/frozen/x",
            &alice,
            Some(r#"the policy "frozen" forbids it"#),
        ),
        ("GET", "/api/v1/frozen/x", &alice, None),
        // What nobody knows may write.
        ("PURGE", "/api/v1/x", &bob, Some("no policy permits it")),
        ("PURGE", "/api/v1/x", &alice, None),
        ("get", "/api/v1/x", &bob, Some("no policy permits it")),
        ("PROPFIND", "/api/v1/x", &bob, None),
    ] {
        let answer = ask(&api, method, path, who);
        match expected {
            None => assert!(answer.is_ok(), "{method} {path}: {answer:?}"),
            Some(reason) => assert_eq!(forbidden(answer), reason, "{method} {path}"),
        }
    }
}

#[test]
fn every_reading_of_a_path_must_be_permitted() {
    let api = with(
        r#"@id("open") permit (principal, action, resource in Path::"/files");
           @id("secret") forbid (principal, action, resource in Path::"/files/secret");"#,
    );
    for (path, is_permitted) in [
        ("/files/%73ecret", false),
        ("/files/secret;x=1/a", false),
        ("/files/secret%2Fa", false),
        ("/files/secret%3Fa", false),
        ("/files/a%2Fb", true),
        ("/files/secrets", true),
        ("/files/../files/secret", false),
        ("/files/./secret", false),
        ("/files//secret", false),
        ("/files/%2e%2e/other", false),
        ("/files/a\\..\\secret", false),
    ] {
        let answer = ask(&api, "GET", path, &user("alice", &[]));
        assert_eq!(answer.is_ok(), is_permitted, "{path}: {answer:?}");
    }
}

#[test]
fn principals_have_names_groups_and_declared_attributes() {
    let alice = User::new("alice")
        .with_groups(["staff"])
        .with_attribute("email", "alice@example.org")
        .with_attribute("role", "editor")
        .with_attribute("role", "author");
    let alice = Principal::new(alice, "hub");
    for (condition, expected) in [
        (r#"principal == User::"alice""#, true),
        (r#"principal == User::"Alice""#, false),
        (r#"principal in Group::"staff""#, true),
        (r#"principal in [Group::"a", Group::"staff"]"#, true),
        (r#"principal in Group::"Staff""#, false),
        (r#"principal.name like "al*""#, true),
        (r#"principal.groups.contains("staff")"#, true),
        (r#"principal.groups.containsAny(["a", "b"])"#, false),
        ("principal.admin", false),
        (r#"principal has email && principal.email like "*@example.org""#, true),
        (r#"principal has phone && principal.phone == """#, false),
        (r#"principal.role.containsAll(["author", "editor"])"#, true),
        ("principal.none.isEmpty()", true),
        (r#"context.authenticator == "hub""#, true),
    ] {
        let cedar = cedar(json!({
            "policies": format!("permit (principal, action, resource) when {{ {condition} }};"),
            "attributes": { "email": "String", "phone": "String", "role": "Set<String>", "none": "Set<String>" },
        }));
        assert_eq!(ask(&cedar, "GET", "/", &alice).is_ok(), expected, "{condition}");
    }
}

#[test]
fn an_attribute_of_one_value_has_no_second_one() {
    let policies =
        r#"permit (principal, action, resource) when { principal has email && principal.email like "*@a" };"#;
    let cedar = cedar(json!({ "policies": policies, "attributes": { "email": "String" } }));
    let same = User::new("a")
        .with_attribute("email", "x@a")
        .with_attribute("email", "x@a");
    let two = User::new("a")
        .with_attribute("email", "x@a")
        .with_attribute("email", "x@b");
    assert!(ask(&cedar, "GET", "/", &Principal::new(same, "p")).is_ok());
    assert_eq!(
        forbidden(ask(&cedar, "GET", "/", &Principal::new(two, "p"))),
        r#"the user's attribute "email" has 2 values (settings: attributes)"#
    );
}

#[test]
fn resources_and_the_context_have_what_a_request_has() {
    let host = FakeHost::start();
    host.set_unix_seconds(SUNDAY);
    for (condition, expected) in [
        (r#"resource == Path::"/clusters/physics.1f3a/status""#, true),
        (r#"resource.path like "/clusters/*""#, true),
        (r#"resource.host == "hub.example""#, true),
        (r#"resource.scheme == "https""#, true),
        (r#"resource.route == "/clusters""#, true),
        (r#"resource has team && resource.team == "physics""#, true),
        (r#"resource has other"#, false),
        (r#"context.client.isInRange(ip("192.0.2.0/24"))"#, true),
        (r#"context.client.isInRange(ip("10.0.0.0/8"))"#, false),
        (r#"context.client.isIpv4()"#, true),
        ("context.certificate", false),
        (r#"context.time >= datetime("2026-11-29T02:30:00Z")"#, true),
        (r#"context.time < datetime("2026-11-29T02:30:00.001Z")"#, true),
        (r#"context.time.toTime() < duration("4h")"#, true),
        (r#"context.weekday == "Sunday""#, true),
        (r#"action == Action::"GET""#, true),
    ] {
        let cedar = cedar(json!({
            "policies": format!("permit (principal, action, resource) when {{ {condition} }};"),
            "captures": ["^/clusters/(?<team>[a-z]+)\\.", "^/never/(?<other>x)"],
        }));
        let request = RequestBuilder::get("/clusters/physics.1f3a/status")
            .authority("HUB.example:8443".to_owned())
            .route("/clusters")
            .client_address("::ffff:192.0.2.7");
        let answer = cedar.authorize(&request.build(), &user("alice", &[]));
        assert_eq!(answer.is_ok(), expected, "{condition}: {answer:?}");
    }
}

#[test]
fn a_certificate_is_there_or_not() {
    let cedar = with("permit (principal, action, resource) when { context.certificate };");
    let request = RequestBuilder::get("/").client_certificate(b"der".to_vec()).build();
    assert!(cedar.authorize(&request, &user("alice", &[])).is_ok());
}

#[test]
fn a_policy_about_addresses_permits_nothing_to_an_unknown_one() {
    let cedar = with(
        r#"forbid (principal, action, resource) when { context.client.isLoopback() };
                        permit (principal, action, resource);"#,
    );
    let request = RequestBuilder::get("/").build();
    assert_eq!(
        forbidden(cedar.authorize(&request, &user("alice", &[]))),
        "the client's address is unknown, and a policy asks for it"
    );
}

#[test]
fn who_is_not_logged_in_is_asked_about_only_if_the_operator_wants_that() {
    let policies = r#"
        @id("all") permit (principal, action in Action::"read", resource);
        @id("users") permit (principal is User, action, resource) when { principal.name != "mallory" };
    "#;
    let closed = with(&policies.replace("is User", ""));
    assert_eq!(
        forbidden(closed.authorize_anonymous(&request("GET", "/"))),
        "nobody is logged in (settings: anonymous)"
    );
    let open = cedar(json!({ "policies": policies, "anonymous": true, "hidden": true }));
    assert!(open.authorize_anonymous(&request("GET", "/")).is_ok());
    assert_eq!(
        forbidden(open.authorize_anonymous(&request("POST", "/"))),
        "no policy permits it",
        "they are told to log in"
    );
    assert!(ask(&open, "POST", "/", &user("alice", &[])).is_ok());
}

#[test]
fn a_denial_may_be_hidden_or_have_a_message() {
    let policies = r#"
        @id("window") @message("Maintenance until 6:00.") forbid (principal, action, resource in Path::"/b");
        permit (principal, action, resource in Path::"/b");
    "#;
    let hidden = cedar(json!({ "policies": policies, "hidden": true }));
    for (path, reason) in [
        ("/b", r#"the policy "window" forbids it"#),
        ("/c", "no policy permits it"),
    ] {
        let answer = ask(&hidden, "GET", path, &user("alice", &[]));
        assert_eq!(answer, Err(Denial::hidden(reason)), "{path}");
    }
    let silent = with(policies);
    assert_eq!(
        forbidden(ask(&silent, "GET", "/b", &user("alice", &[]))),
        r#"the policy "window" forbids it"#
    );
    let host = FakeHost::start();
    for (hidden, status) in [(false, 403), (true, 404)] {
        let open = cedar(json!({ "policies": policies, "messages": true, "hidden": hidden }));
        match ask(&open, "GET", "/b", &user("alice", &[])) {
            Err(Denial::Respond(response)) => {
                assert_eq!(
                    (response.status, response.body),
                    (status, b"Maintenance until 6:00.".to_vec())
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(
        host.log()
            .iter()
            .any(|(_, line)| line == r#"the policy "window" forbids it"#)
    );
}

#[test]
fn a_forbidding_policy_that_cant_be_evaluated_is_no_permission() {
    let cedar = with(
        r#"permit (principal, action, resource);
           @id("sum") forbid (principal, action, resource)
           when { (if principal.admin then 1 else 9223372036854775807) + 1 == 0 };"#,
    );
    match ask(&cedar, "GET", "/", &user("alice", &[])) {
        Err(Denial::Unavailable(reason)) => {
            assert!(
                reason.starts_with(r#"the policy "sum" can't be evaluated: "#),
                "{reason}"
            );
        }
        other => panic!("{other:?}"),
    }
    let admin = Principal::new(User::new("root").admin(true), "p");
    assert!(ask(&cedar, "GET", "/", &admin).is_ok());
}

#[test]
fn a_decision_is_reused_for_long_unless_it_depends_on_the_time() {
    let hour = with("permit (principal, action, resource);");
    let second = with(r#"permit (principal, action, resource) when { context.time < datetime("2100-01-01") };"#);
    let weekday = with(r#"permit (principal, action, resource) when { context.weekday != "Sunday" || true };"#);
    for (cedar, seconds) in [(hour, 3600), (second, 1), (weekday, 1)] {
        let permit = ask(&cedar, "GET", "/", &user("alice", &[])).unwrap();
        assert_eq!(permit.valid_for, Some(Duration::from_secs(seconds)));
    }
}

#[test]
fn many_policies_are_named_in_part() {
    let policies: String = (0..7)
        .map(|number| format!("@id(\"p{number}\") forbid (principal, action, resource);\n"))
        .collect();
    assert_eq!(
        forbidden(ask(&with(&policies), "GET", "/", &user("alice", &[]))),
        r#"the policies "p0", "p1", "p2", "p3", "p4" and 2 more forbid it"#
    );
}

#[test]
fn a_permit_names_its_policies() {
    let named = |count: usize| {
        let policies: String = (0..count)
            .map(|number| format!("@id(\"p{number:02}\") permit (principal, action, resource);\n"))
            .collect();
        let permit = ask(&with(&policies), "GET", "/a%2Fb", &user("alice", &[])).unwrap();
        permit.attributes
    };
    assert_eq!(named(1), [("policy".to_owned(), "p00".to_owned())]);
    assert_eq!(named(20).len(), 16, "as many as the contract allows");
}
