//! Many policies and many entities.

use serde_json::json;

use crate::ask;
use crate::cedar;
use crate::user;
use crate::with;

#[test]
fn ten_thousand_policies_are_taken() {
    let policies: String = (0..10_000)
        .map(|team| format!("permit(principal in Group::\"team-{team}\", action, resource in Path::\"/{team}\");\n"))
        .collect();
    assert!(policies.len() < 1 << 20, "as much as a file may have");
    let cedar = with(&policies);
    let alice = user("alice", &["team-77", "team-9999"]);
    for (path, expected) in [("/77/x", true), ("/9999", true), ("/78", false)] {
        assert_eq!(ask(&cedar, "GET", path, &alice).is_ok(), expected, "{path}");
    }
}

#[test]
fn a_mebibyte_of_entities_is_taken() {
    let entity = |number: usize| {
        json!({
            "uid": { "type": "User", "id": format!("user-{number}") },
            "attrs": {},
            "parents": [{ "type": "Group", "id": format!("team-{}", number % 100) }],
        })
    };
    let entities = Vec::from_iter((0..10_500).map(entity));
    let entities = json!(entities).to_string();
    assert!((1_000_000..1 << 20).contains(&entities.len()), "{}", entities.len());
    let policies = r#"permit(principal in Group::"team-7", action, resource);"#;
    let cedar = cedar(json!({ "policies": policies, "entities": entities }));
    assert!(ask(&cedar, "GET", "/", &user("user-10407", &[])).is_ok());
    assert!(ask(&cedar, "GET", "/", &user("user-10408", &[])).is_err());
}

#[test]
fn a_deep_path_and_many_groups_are_taken() {
    let cedar = with(r#"permit(principal in Group::"g4095", action, resource in Path::"/a/a/a");"#);
    let groups = Vec::from_iter((0..4096).map(|number| format!("g{number}")));
    let groups = Vec::from_iter(groups.iter().map(String::as_str));
    let path = "/a".repeat(4000);
    assert!(ask(&cedar, "GET", &path, &user("alice", &groups)).is_ok());
    assert!(ask(&cedar, "GET", &path, &user("alice", &groups[..4095])).is_err());
}
