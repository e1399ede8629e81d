//! The headers by which an upstream knows its user. Whatever a client sends under such a name is removed, on every
//! route and in every spelling; only an [`Authenticated`] user's are set.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;
use portcullis::decision::Authenticated;
use portcullis::decision::Identity;

use crate::config::IdentityHeaders;

/// Tells the upstream who the user is.
///
/// A name or an attribute is sent as UTF-8, as the gateway's peers do. Groups are joined by commas; within a group,
/// `%`, commas and outer spaces are percent-encoded, so that no group can pass for another or for two. Without groups
/// there is no header for them, and without an attribute none for it.
pub(crate) fn set(headers: &mut HeaderMap, names: &IdentityHeaders, user: &Authenticated) -> Result<(), Unsendable> {
    for (name, value) in values(names, user.authenticator(), user.identity())? {
        headers.insert(name, value);
    }
    Ok(())
}

/// A user that headers can't carry without changing them: 403, because the upstream would take them for another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Unsendable(&'static str);

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl std::error::Error for Unsendable {}

fn values(
    names: &IdentityHeaders,
    authenticator: &str,
    user: &Identity,
) -> Result<Vec<(HeaderName, HeaderValue)>, Unsendable> {
    let name = text(user.name()).ok_or(Unsendable("the user's name begins or ends with a space"))?;
    let mut values = vec![(names.user.clone(), name)];
    if !user.groups().is_empty() {
        let groups = user
            .groups()
            .iter()
            .map(|group| encode_group(group))
            .collect::<Vec<_>>()
            .join(",");
        values.push((
            names.groups.clone(),
            text(&groups).ok_or(Unsendable("a group can't be sent in a header"))?,
        ));
    }
    if let Some(admin) = &names.admin {
        values.push((
            admin.clone(),
            HeaderValue::from_static(if user.admin() { "true" } else { "false" }),
        ));
    }
    let own = names.attributes.iter().filter(|carried| {
        let whose = carried.authenticator.as_deref();
        whose.is_none_or(|whose| whose == authenticator)
    });
    for carried in own {
        if let Some(value) = user.attribute(&carried.attribute) {
            let value = text(value).ok_or(Unsendable("an attribute begins or ends with a space"))?;
            values.push((carried.header.clone(), value));
        }
    }
    if let Some(password) = &names.basic_password {
        values.push((header::AUTHORIZATION, basic(user.name(), password.expose())?));
    }
    values.extend(names.shared_secret.iter().cloned());
    Ok(values)
}

/// A field value that arrives as it was sent: recipients drop the spaces around it (RFC 9110, section 5.5).
fn text(text: &str) -> Option<HeaderValue> {
    let survives = text == text.trim();
    HeaderValue::from_bytes(text.as_bytes()).ok().filter(|_| survives)
}

fn encode_group(group: &str) -> String {
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

/// RFC 7617, in UTF-8.
fn basic(user: &str, password: &str) -> Result<HeaderValue, Unsendable> {
    if user.contains(':') {
        return Err(Unsendable(
            "the user's name has a colon, which Basic credentials can't carry",
        ));
    }
    let credentials = STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {credentials}"))
        .map_err(|_| Unsendable("the credentials can't be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use portcullis::decision::Claims;

    use super::*;
    use crate::config::AttributeHeader;

    fn names() -> IdentityHeaders {
        IdentityHeaders {
            user: HeaderName::from_static("x-user"),
            groups: HeaderName::from_static("x-groups"),
            admin: Some(HeaderName::from_static("x-admin")),
            attributes: vec![
                mail(None, "x-mail"),
                mail(Some("hub"), "x-hub-mail"),
                mail(Some("other"), "x-other-mail"),
            ],
            basic_password: None,
            shared_secret: vec![(HeaderName::from_static("x-secret"), HeaderValue::from_static("s3cret"))],
        }
    }

    fn mail(authenticator: Option<&str>, header: &'static str) -> AttributeHeader {
        AttributeHeader {
            authenticator: authenticator.map(str::to_owned),
            attribute: "email".to_owned(),
            header: HeaderName::from_static(header),
        }
    }

    fn claims(name: &str) -> Claims {
        Claims {
            name: name.to_owned(),
            ..Claims::default()
        }
    }

    fn sent(names: &IdentityHeaders, claims: Claims) -> Result<Vec<(String, String)>, Unsendable> {
        let values = values(names, "hub", &claims.try_into().unwrap())?;
        let text = |value: HeaderValue| String::from_utf8(value.as_bytes().to_vec()).unwrap();
        Ok(values
            .into_iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_upstream_learns_who_the_user_is() {
        let user = Claims {
            groups: vec!["a".into(), "b c".into()],
            admin: true,
            attributes: vec![
                ("email".into(), "m@example.com".into()),
                ("unconfigured".into(), "x".into()),
            ],
            ..claims("müller")
        };
        let expected = [
            ("x-user", "müller"),
            ("x-groups", "a,b c"),
            ("x-admin", "true"),
            ("x-mail", "m@example.com"),
            ("x-hub-mail", "m@example.com"),
            ("x-secret", "s3cret"),
        ];
        assert_eq!(sent(&names(), user).unwrap(), pairs(&expected));
        assert_eq!(
            sent(&names(), claims("bob")).unwrap(),
            pairs(&[("x-user", "bob"), ("x-admin", "false"), ("x-secret", "s3cret")])
        );
    }

    #[test]
    fn no_group_can_pass_for_another_or_for_two() {
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
                groups: vec!["first".into(), group.into()],
                ..claims("bob")
            };
            assert_eq!(
                sent(&names(), user).unwrap()[1].1,
                format!("first,{encoded}"),
                "{group:?}"
            );
        }
    }

    #[test]
    fn the_upstreams_password_comes_with_the_users_name() {
        for (user, credentials) in [
            ("alice", "Basic YWxpY2U6czNjcmV0"),
            ("müller", "Basic bcO8bGxlcjpzM2NyZXQ="),
        ] {
            let value = basic(user, "s3cret").unwrap();
            assert_eq!(value, credentials);
            assert!(value.is_sensitive());
        }
    }

    #[test]
    fn a_user_whom_headers_would_change_is_not_sent() {
        for name in [" alice", "alice ", "\u{3000}alice", "alice\u{a0}"] {
            assert!(sent(&names(), claims(name)).is_err(), "{name:?}");
        }
        let attribute = Claims {
            attributes: vec![("email".into(), " m@example.com".into())],
            ..claims("m")
        };
        assert!(sent(&names(), attribute).is_err());
        assert!(basic("service:x", "s3cret").is_err());
    }
}
