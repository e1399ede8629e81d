//! A user's groups as one header has them: joined by commas. Within a group, `%`, commas and outer spaces are percent-encoded, so
//! that no group can imitate another group or several ones.

use portcullis::decision::Identity;

use crate::config::SentGroups;

/// The groups of a user that are sent.
pub(super) fn sent<'a>(user: &'a Identity, sent: &'a SentGroups) -> impl Iterator<Item = &'a str> {
    let groups = user.groups().iter().map(|group| &**group);
    groups.filter(|group| sent.include(group))
}

/// The groups of a user that are sent. `None` if there are none.
pub(super) fn joined(user: &Identity, which: &SentGroups) -> Option<String> {
    let groups = sent(user, which).map(encode).collect::<Vec<_>>().join(",");
    Some(groups).filter(|groups| !groups.is_empty())
}

fn encode(group: &str) -> String {
    let (start, end) = (group.len() - group.trim_start().len(), group.trim_end().len());
    let mut encoded = String::with_capacity(group.len());
    for (index, c) in group.char_indices() {
        if matches!(c, '%' | ',') || index < start || index >= end {
            let mut bytes = [0; 4];
            encoded.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")));
        } else {
            encoded.push(c);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use portcullis::decision::Claims;

    use super::*;

    #[test]
    fn no_group_can_imitate_other_groups() {
        for (group, encoded) in [
            ("a,admin", "a%2Cadmin"),
            ("cn=a,ou=b c", "cn=a%2Cou=b c"),
            ("a%2Cadmin", "a%252Cadmin"),
            (" admin", "%20admin"),
            ("admin ", "admin%20"),
            ("admin\u{a0}", "admin%C2%A0"),
            (" ", "%20"),
            ("größe", "größe"),
        ] {
            let user = Claims {
                name: "bob".into(),
                groups: vec!["first".into(), group.into()],
                ..Claims::default()
            };
            let joined = joined(&user.try_into().unwrap(), &SentGroups::All);
            assert_eq!(joined.unwrap(), format!("first,{encoded}"), "{group:?}");
        }
    }
}
