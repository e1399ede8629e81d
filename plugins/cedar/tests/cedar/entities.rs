//! The operator's entities: who is in which group.

use portcullis_sdk::Principal;
use portcullis_sdk::User;
use serde_json::Value;
use serde_json::json;

use crate::ask;
use crate::cedar;
use crate::refused;
use crate::user;

const TEAMS: &str = r#"
@id("physics") permit (principal in Group::"physics", action, resource in Path::"/physics");
@id("science") permit (principal in Group::"science", action, resource in Path::"/science");
@id("named") permit (principal, action, resource in Path::"/named") when { principal.groups.containsAll(["physics", "science"]) };
@id("chiefs") permit (principal, action, resource in Path::"/chiefs") when { principal has title && principal.title == "chief" };
"#;

fn entity(kind: &str, id: &str, attributes: &Value, parents: &[&str]) -> Value {
    let parents = Vec::from_iter(parents.iter().map(|group| json!({ "type": "Group", "id": group })));
    json!({ "uid": { "type": kind, "id": id }, "attrs": attributes, "parents": parents })
}

fn settings(entities: &Value) -> Value {
    json!({ "policies": TEAMS, "entities": entities.to_string(), "attributes": { "title": "String" } })
}

#[test]
fn the_operator_says_who_is_in_which_group() {
    let cedar = cedar(settings(&json!([
        entity("User", "alice", &json!({ "title": "chief" }), &["physics"]),
        entity("User", "bob", &json!({}), &[]),
        entity("Group", "physics", &json!({}), &["science"]),
        entity("Group", "science", &json!({}), &[]),
    ])));
    let said = Principal::new(User::new("alice").with_attribute("title", "none"), "p");
    let chief = Principal::new(User::new("carol").with_attribute("title", "chief"), "p");
    for (who, path, expected) in [
        (&user("alice", &[]), "/physics", true),
        (&user("alice", &[]), "/science", true),
        (&user("alice", &[]), "/named", true),
        (&user("bob", &[]), "/physics", false),
        (&user("bob", &["physics"]), "/science", true),
        (&user("bob", &["science"]), "/physics", false),
        (&user("carol", &[]), "/science", false),
        (&user("alice", &[]), "/chiefs", true),
        (&said, "/chiefs", true),
        (&chief, "/chiefs", true),
        (&user("bob", &[]), "/chiefs", false),
    ] {
        let answer = ask(&cedar, "GET", path, who);
        assert_eq!(answer.is_ok(), expected, "{who:?} {path}: {answer:?}");
    }
}

#[test]
fn entities_that_are_wrong_are_told() {
    for (entities, expected) in [
        (json!("x"), "entities: "),
        (json!({}), "entities: "),
        (json!([{}]), "entities: "),
        (json!([entity("Team", "a", &json!({}), &[])]), "entities: "),
        (
            json!([entity("User", "a", &json!({ "titel": "x" }), &[])]),
            "entities: ",
        ),
        (json!([entity("User", "a", &json!({ "title": 1 }), &[])]), "entities: "),
        (
            json!([
                entity("Group", "a", &json!({}), &["b"]),
                entity("Group", "b", &json!({}), &["a"])
            ]),
            "entities: ",
        ),
        (
            json!([
                entity("User", "a", &json!({}), &["b"]),
                entity("User", "a", &json!({}), &[])
            ]),
            "entities: ",
        ),
    ] {
        let found = refused(settings(&entities));
        assert!(found[0].starts_with(expected), "{found:?}");
        eprintln!("{found:?}");
    }
}

#[test]
fn json_that_is_none_has_its_line() {
    let mut settings = settings(&json!([]));
    settings["entities"] = json!("[\n{\"uid\": }]");
    let found = refused(settings);
    assert!(found[0].starts_with("entities: line 2: "), "{found:?}");
}
