use super::*;

fn claims(name: &str) -> Claims {
    Claims {
        name: name.to_owned(),
        ..Claims::default()
    }
}

#[test]
fn names_of_every_script_are_kept_as_they_are() {
    for name in ["alice", "müller", "Δημήτρης", "service:any", "a b", "a@example.com"] {
        assert_eq!(Identity::try_from(claims(name)).unwrap().name(), name);
    }
}

fn with_groups(groups: Vec<String>) -> Claims {
    Claims {
        groups,
        ..claims("alice")
    }
}

fn with_attributes(attributes: &[(&str, &str)]) -> Claims {
    let owned = attributes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Claims {
        attributes: owned.collect(),
        ..claims("alice")
    }
}

#[test]
fn what_could_be_mistaken_downstream_is_refused() {
    for (case, expected) in [
        (claims(""), "the user name is empty"),
        (claims("alice\r\nX-Admin: 1"), "the user name has a control character"),
        (claims("alice\0"), "the user name has a control character"),
        (claims("alice\u{85}"), "the user name has a control character"),
        (with_groups(vec![String::new()]), "the group name is empty"),
        (
            with_groups(vec!["a\nb".into()]),
            "the group name has a control character",
        ),
        (
            with_attributes(&[("email", "a\tb")]),
            "the attribute value has a control character",
        ),
        (
            with_attributes(&[("e\nmail", "ab")]),
            "the attribute name has a control character",
        ),
        (with_attributes(&[("", "b")]), "the attribute name is empty"),
    ] {
        assert_eq!(Identity::try_from(case).unwrap_err().to_string(), expected);
    }
}

#[test]
fn every_part_of_an_identity_has_a_bound() {
    let x = |length: usize| "x".repeat(length);
    let groups = |count: usize| with_groups(vec!["g".into(); count]);
    let attributes = |count: usize| with_attributes(&vec![("a", "b"); count]);
    // All but the last value have the longest names and values.
    let described = |size: usize| {
        let (name, value) = (x(256), x(4096));
        let mut attributes = vec![(name.as_str(), value.as_str()); 60];
        let last = x(size - "alice".len() - 60 * (256 + 4096) - 1);
        attributes.push(("a", &last));
        with_attributes(&attributes)
    };
    // 5 bytes are the name.
    let whole = |size: usize| {
        with_groups(
            vec![x(256); (size - 5) / 256]
                .into_iter()
                .chain([x((size - 5) % 256)])
                .collect(),
        )
    };
    for (largest, larger, expected) in [
        (
            claims(&x(256)),
            claims(&x(257)),
            "the user name has 257 bytes, and at most 256 are accepted",
        ),
        (
            groups(4096),
            groups(4097),
            "the user has 4097 groups, and at most 4096 are accepted",
        ),
        (
            with_groups(vec![x(1024)]),
            with_groups(vec![x(1025)]),
            "the group name has 1025 bytes, and at most 1024 are accepted",
        ),
        (
            attributes(64),
            attributes(65),
            "the user has 65 attributes, and at most 64 are accepted",
        ),
        (
            with_attributes(&[(&x(256), "")]),
            with_attributes(&[(&x(257), "")]),
            "the attribute name has 257 bytes, and at most 256 are accepted",
        ),
        (
            with_attributes(&[("a", &x(4096))]),
            with_attributes(&[("a", &x(4097))]),
            "the attribute value has 4097 bytes, and at most 4096 are accepted",
        ),
        (
            whole(256 * 1024),
            whole(256 * 1024 + 1),
            "the user has 262145 bytes of name, groups and attributes, and at most 262144 are accepted",
        ),
        (
            described(256 * 1024),
            described(256 * 1024 + 1),
            "the user has 262145 bytes of name, groups and attributes, and at most 262144 are accepted",
        ),
    ] {
        assert!(Identity::try_from(largest).is_ok(), "{expected}");
        assert_eq!(Identity::try_from(larger).unwrap_err().to_string(), expected);
    }
}

/// The application gets what the authenticator said, also from a session's cookie.
#[test]
fn an_identity_is_what_was_claimed_and_stays_so_in_a_session() {
    let admin = Claims {
        admin: true,
        groups: vec!["b".to_owned(), "a".to_owned()],
        ..with_attributes(&[("email", "a@example.com"), ("x", ""), ("email", "second")])
    };
    let admin = Identity::try_from(admin).unwrap();
    let sealed = serde_json::to_string(&admin).unwrap();
    for identity in [serde_json::from_str(&sealed).unwrap(), admin] {
        assert_eq!(identity.name(), "alice");
        assert!(identity.admin());
        assert_eq!(identity.groups(), ["b", "a"]);
        let attributes = Vec::from_iter(identity.attributes());
        assert_eq!(attributes, [("email", "a@example.com"), ("x", ""), ("email", "second")]);
        for (name, value) in [("email", Some("a@example.com")), ("x", Some("")), ("Email", None)] {
            assert_eq!(identity.attribute(name), value, "{name}");
        }
    }
    let plain = Identity::try_from(claims("alice")).unwrap();
    assert!(!plain.admin() && plain.groups().is_empty() && plain.attributes().next().is_none());
    assert!(
        serde_json::from_str::<Identity>(r#"{"name":""}"#).is_err(),
        "it is checked again"
    );
}
