//! What the operator reads of policies and entities that are wrong: the setting, the line, the policy.

use serde_json::json;

use crate::refused;

#[test]
fn every_mistake_has_its_line_and_its_policy() {
    for (policies, expected) in [
        (
            "",
            &["policies: there is no policy, so nothing would be permitted"] as &[&str],
        ),
        (
            "// nothing yet\n",
            &["policies: there is no policy, so nothing would be permitted"],
        ),
        (
            "permit (principal, action, resource)\n",
            &["policies: line 1: unexpected end of input; expected `;` or identifier"],
        ),
        (
            "\npermit (principal, action, resource) when { 'x' };",
            &["policies: line 2: invalid token; strings must use double quotes, not single quotes"],
        ),
        (
            "permit (principal, action, resource)\nwhen {\n  context.clint.isLoopback() };",
            &[
                "policies: line 3: for policy `line 1`, attribute `clint` in the context not found; did you mean `client`?",
            ],
        ),
        (
            "@id(\"a\")\npermit (principal, action == Action::\"GTE\", resource);",
            &[
                "policies: line 2: for policy `a`, unrecognized action `Action::\"GTE\"`; did you mean `Action::\"GET\"`?",
            ],
        ),
        (
            "@id(\"a\")\npermit (principal in Grop::\"x\", action, resource);",
            &["policies: line 2: for policy `a`, unrecognized entity type `Grop`; did you mean `Group`?"],
        ),
        (
            "@id(\"never\")\npermit (principal, action, resource) when { resource is User };\n@id(\"a\") permit (principal, action, resource) when { principal == 1 };",
            &["policies: line 1: for policy `never`, policy is impossible"],
        ),
        (
            "@id(\"a\") permit (principal == Group::\"x\", action, resource);",
            &[
                "policies: line 1: for policy `a`, unable to find an applicable action given the policy scope constraints",
            ],
        ),
        (
            "@id(\"a\") permit (principal, action, resource);\n\n@id(\"a\") forbid (principal, action, resource);",
            &["policies: line 3: line 1 has a policy \"a\" too"],
        ),
        (
            "@id(\"\") permit (principal, action, resource);",
            &["policies: line 1: an @id has 1 to 128 bytes and no control characters"],
        ),
        (
            "permit (principal == ?principal, action, resource);",
            &["policies: line 1: a template isn't a policy: write the entity instead of the slot"],
        ),
        (
            "@id(\"a\")\npermit (principal, action, resource in Path::\"/api/\");",
            &["policies: line 1: policy \"a\": no path is Path::\"/api/\"; write Path::\"/api\""],
        ),
        (
            "@id(\"a\")\npermit (principal, action, resource) when { User::\"root\".admin };",
            &[
                "policies: line 1: policy \"a\": the attributes of User::\"root\" aren't known, only those of the principal and the resource",
            ],
        ),
        (
            "permit (principal, action, resource) when { principal.email == \"x\" };",
            &["policies: line 1: for policy `line 1`, attribute `email` on entity type `User` not found"],
        ),
        (
            "permit (principal, action, resource) when { ip(\"10.0.0.0/33\").isIpv4() };",
            &["policies: line 1: for policy `line 1`, error during extension function argument validation"],
        ),
    ] {
        let found = refused(json!({ "policies": policies }));
        for expected in expected {
            let is_found = found.iter().any(|found| found.starts_with(expected));
            assert!(is_found, "{policies}\n{expected}\n{found:#?}");
        }
    }
}

#[test]
fn a_policy_of_several_texts_is_named_by_its_text() {
    let policies = [
        "permit (principal, action, resource);",
        "\npermit (principal, action, resorce);",
    ];
    let found = refused(json!({ "policies": policies }));
    assert!(found[0].starts_with("policies[1]: line 2: "), "{found:?}");
    let twice = "@id(\"a\") permit (principal, action, resource);";
    assert_eq!(
        refused(json!({ "policies": [twice, twice] })),
        ["policies[1]: line 1: policies[0] line 1 has a policy \"a\" too"]
    );
    assert_eq!(
        refused(json!({ "policies": [] })),
        ["policies: the list is empty, so nothing would be permitted"]
    );
}

#[test]
fn all_mistakes_are_told_up_to_a_bound() {
    let policies = "permit (principal, action == Action::\"NONE\", resource);\n".repeat(150);
    let found = refused(json!({ "policies": policies }));
    assert_eq!(found.len(), 101);
    assert!(found[99].starts_with("policies: line "), "{}", found[99]);
    assert!(found[100].starts_with("policies: there are "), "{}", found[100]);
}

#[test]
fn wrong_settings_are_errors() {
    let all = "permit (principal, action, resource);";
    for (settings, expected) in [
        (
            json!({ "policies": all, "attributes": { "name": "String" } }),
            "attributes: users have an attribute \"name\" in any case",
        ),
        (
            json!({ "policies": all, "attributes": { "a\n": "String" } }),
            "attributes: \"a\\n\" has more than 256 bytes or a control character, or is empty",
        ),
        (
            json!({ "policies": all, "attributes": { "a": "Long" } }),
            "attributes.a: unknown variant `Long`, expected `String` or `Set<String>`",
        ),
        (json!({ "policies": all, "captures": ["(?<x"] }), "captures[0]: "),
        (
            json!({ "policies": all, "captures": ["^/a"] }),
            "captures[0]: it has no named group, such as (?<team>[a-z]+)",
        ),
        (
            json!({ "policies": all, "captures": ["(?<path>.)"] }),
            "captures[0]: resources have an attribute \"path\" of another meaning",
        ),
    ] {
        let found = refused(settings.clone());
        assert!(found[0].starts_with(expected), "{settings}: {found:?}");
    }
}

#[test]
fn names_from_the_settings_are_quoted_in_the_schema() {
    let policies = r#"permit (principal, action, resource) when { principal has "a\"b" && principal["a\"b"] == "x" };"#;
    crate::cedar(json!({ "policies": policies, "attributes": { "a\"b": "String" } }));
}
