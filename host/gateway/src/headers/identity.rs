//! The identity headers, which tell the upstream who the user is. They are set for [`Authenticated`] users only; the
//! same headers from a client are removed, on every route and in every spelling.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;
use portcullis::decision::Authenticated;
use portcullis::decision::Identity;
use portcullis::decision::Permits;

use crate::assertion::Assertions;
use crate::assertion::Claims;
use crate::config::AttributeHeader;
use crate::config::IdentityHeaders;
use crate::generation::Route;
use crate::headers::groups;
use crate::headers::template;

/// Sets the identity headers of a user, and what authorizers say, and returns their size in bytes.
///
/// Names and attributes are sent as UTF-8, as other authenticating proxies do. A user without groups gets no header for groups,
/// and likewise for attributes. An attribute that wouldn't arrive unchanged is left out, and so is a template that names it.
pub(crate) fn set(
    headers: &mut HeaderMap,
    names: &IdentityHeaders,
    assertions: Option<&Assertions>,
    user: Option<&Authenticated>,
    permits: &Permits,
) -> Result<usize, Unsendable> {
    let mut all = match user {
        Some(user) => values(names, user.authenticator(), user.identity(), permits)?,
        None => Vec::new(),
    };
    if let (Some(user), Some(assertion), Some(assertions)) = (user, &names.assertion, assertions) {
        let claims = asserted(names, &assertion.audience, user, permits);
        all.push((assertion.header.clone(), signed(&claims, assertions)?));
    }
    all.extend(names.attributes.iter().filter_map(|carried| {
        let value = permits.attribute(carried.source.as_deref()?, &carried.attribute)?;
        attribute(carried, value)
    }));
    Ok(insert(headers, all))
}

/// Inserts headers, and returns their size in bytes.
fn insert(headers: &mut HeaderMap, values: Vec<(HeaderName, HeaderValue)>) -> usize {
    let mut size = 0;
    for (name, value) in values {
        size += name.as_str().len() + value.len();
        headers.insert(name, value);
    }
    size
}

/// Warns that the identity headers of a user are larger than many servers accept, once an hour for each user of a route.
pub(crate) fn tell_if_large(route: &Route, user: &Identity, size: usize) {
    if size <= LARGE || !route.told.entry(user.name().to_owned()).or_insert(()).is_fresh() {
        return;
    }
    tracing::warn!(
        route = route.name,
        user = %user.name().escape_debug(),
        groups = user.groups().len(),
        bytes = size,
        "the identity headers are larger than many servers accept (8 KiB): identity.groups_filter or groups = false makes \
         them smaller"
    );
}

/// In bytes. Many servers accept no more in one field (aiohttp) or in all (Apache, nginx).
const LARGE: usize = 8 * 1024;

/// A user who can't be sent in headers unchanged. The response is 403, because the upstream might see another user.
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
    permits: &Permits,
) -> Result<Vec<(HeaderName, HeaderValue)>, Unsendable> {
    let name = text(user.name()).ok_or(Unsendable("the user's name begins or ends with a space"))?;
    let mut values = vec![(names.user.clone(), name)];
    if let Some(groups) = groups::joined(user, &names.sent_groups) {
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
    let attributes = names.attributes.iter().filter(|carried| {
        let source = carried.source.as_deref();
        source.is_none_or(|source| source == authenticator)
    });
    for carried in attributes {
        let value = user.attribute(&carried.attribute);
        values.extend(value.and_then(|value| attribute(carried, value)));
    }
    for (header, template) in &names.templates {
        let value = template::fill(template, &names.sent_groups, authenticator, user, permits);
        values.extend(value.and_then(|value| Some((header.clone(), text(&value)?))));
    }
    if let Some(password) = &names.basic_password {
        values.push((header::AUTHORIZATION, basic(user.name(), password.expose())?));
    }
    values.extend(names.shared_secret.iter().cloned());
    Ok(values)
}

/// What an assertion says: what the other headers carry.
fn asserted<'a>(
    names: &'a IdentityHeaders,
    audience: &'a str,
    user: &'a Authenticated,
    permits: &'a Permits,
) -> Claims<'a> {
    let mut claims = Claims {
        aud: audience,
        sub: user.identity().name(),
        groups: groups::sent(user.identity(), &names.sent_groups).collect(),
        admin: user.identity().admin(),
        authenticator: user.authenticator(),
        attributes: BTreeMap::new(),
        permits: BTreeMap::new(),
    };
    for AttributeHeader { source, attribute, .. } in &names.attributes {
        let source = source.as_deref();
        if source.is_none_or(|source| source == user.authenticator()) {
            let value = user.identity().attribute(attribute);
            claims.attributes.extend(value.map(|value| (attribute.as_str(), value)));
        }
        let permitted = source.and_then(|source| Some((source, permits.attribute(source, attribute)?)));
        if let Some((source, value)) = permitted {
            claims.permits.entry(source).or_default().insert(attribute, value);
        }
    }
    claims
}

fn signed(claims: &Claims<'_>, assertions: &Assertions) -> Result<HeaderValue, Unsendable> {
    let signed = assertions.sign(claims, SystemTime::now()).map_err(Unsendable)?;
    let mut value = HeaderValue::try_from(signed).map_err(|_| Unsendable("the assertion can't be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The header of an attribute. `None` if its value wouldn't arrive unchanged. Directories have names with a space at their end, and
/// such a fact doesn't decide about admission.
fn attribute(carried: &AttributeHeader, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let value = text(value);
    if value.is_none() {
        tracing::debug!(
            attribute = carried.attribute,
            header = %carried.header,
            "an attribute is left out, because its value begins or ends with a space"
        );
    }
    Some((carried.header.clone(), value?))
}

/// A field value. `None` if it wouldn't arrive unchanged: recipients drop outer spaces (RFC 9110, section 5.5).
fn text(text: &str) -> Option<HeaderValue> {
    let is_trimmed = text == text.trim();
    HeaderValue::from_bytes(text.as_bytes()).ok().filter(|_| is_trimmed)
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
    use crate::config::GroupPattern;
    use crate::config::HeaderTemplate;
    use crate::config::SentGroups;

    fn names() -> IdentityHeaders {
        IdentityHeaders {
            user: HeaderName::from_static("x-user"),
            groups: HeaderName::from_static("x-groups"),
            sent_groups: SentGroups::All,
            admin: Some(HeaderName::from_static("x-admin")),
            attributes: vec![
                mail(None, "x-mail"),
                mail(Some("hub"), "x-hub-mail"),
                mail(Some("other"), "x-other-mail"),
            ],
            templates: [
                ("x-mailbox", "{user:url}@{authenticator}"),
                ("x-team", "{attributes.team}!"),
            ]
            .map(|(name, text)| (HeaderName::from_static(name), HeaderTemplate::parse(text).unwrap()))
            .into(),
            assertion: None,
            basic_password: None,
            shared_secret: vec![(HeaderName::from_static("x-secret"), HeaderValue::from_static("s3cret"))],
        }
    }

    fn mail(source: Option<&str>, header: &'static str) -> AttributeHeader {
        AttributeHeader {
            source: source.map(str::to_owned),
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
        let values = values(names, "hub", &claims.try_into().unwrap(), &Permits::default())?;
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
    fn the_identity_headers_describe_the_user() {
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
            ("x-mailbox", "m%C3%BCller@hub"),
            ("x-secret", "s3cret"),
        ];
        assert_eq!(sent(&names(), user).unwrap(), pairs(&expected));
        assert_eq!(
            sent(&names(), claims("bob")).unwrap(),
            pairs(&[
                ("x-user", "bob"),
                ("x-admin", "false"),
                ("x-mailbox", "bob@hub"),
                ("x-secret", "s3cret")
            ])
        );
    }

    #[test]
    fn the_size_is_that_of_names_and_values() {
        let names = IdentityHeaders {
            groups: HeaderName::from_static("x-g"),
            ..IdentityHeaders::default()
        };
        let user = Claims {
            groups: vec!["abc".into(), "d".into()],
            ..claims("bob")
        };
        let pairs = values(&names, "hub", &user.try_into().unwrap(), &Permits::default()).unwrap();
        let mut headers = HeaderMap::new();
        // x-forwarded-user: bob, x-g: abc,d
        assert_eq!(insert(&mut headers, pairs), 16 + 3 + 3 + 5);
        assert_eq!(headers.len(), 2);
    }

    /// Row B2 of the field reports.
    #[test]
    fn groups_that_the_route_does_not_send_are_left_out() {
        let patterns = vec![
            GroupPattern::Exact("staff".into()),
            GroupPattern::Prefix("dask-".into()),
        ];
        for (sent_groups, groups, expected) in [
            (SentGroups::All, &["a", "dask-x"][..], Some("a,dask-x")),
            (SentGroups::None, &["a", "dask-x"], None),
            (
                SentGroups::Matching(patterns.clone()),
                &["a", "dask-x", "dask", "staff", "staff2", "dask-"],
                Some("dask-x,staff,dask-"),
            ),
            (SentGroups::Matching(patterns), &["a", "STAFF"], None),
        ] {
            let names = IdentityHeaders { sent_groups, ..names() };
            let user = Claims {
                groups: groups.iter().map(ToString::to_string).collect(),
                ..claims("bob")
            };
            let headers = sent(&names, user).unwrap();
            let found = headers
                .iter()
                .find(|(name, _)| name == "x-groups")
                .map(|(_, value)| value.as_str());
            assert_eq!(found, expected, "{groups:?}");
        }
    }

    #[test]
    fn the_basic_password_is_sent_with_the_users_name() {
        for (user, credentials) in [
            ("alice", "Basic YWxpY2U6czNjcmV0"),
            ("müller", "Basic bcO8bGxlcjpzM2NyZXQ="),
        ] {
            let value = basic(user, "s3cret").unwrap();
            assert_eq!(value, credentials);
            assert!(value.is_sensitive());
        }
    }

    /// Row B9 of the field reports: an optional fact doesn't decide about admission.
    #[test]
    fn an_attribute_that_cant_be_sent_unchanged_is_left_out() {
        for value in [" m@example.com", "m@example.com ", "m@example.com\u{a0}"] {
            let user = Claims {
                attributes: vec![("email".into(), value.into())],
                ..claims("m")
            };
            let expected = [
                ("x-user", "m"),
                ("x-admin", "false"),
                ("x-mailbox", "m@hub"),
                ("x-secret", "s3cret"),
            ];
            let expected = pairs(&expected);
            assert_eq!(sent(&names(), user).unwrap(), expected, "{value:?}");
        }
    }

    #[test]
    fn a_user_who_cant_be_sent_unchanged_is_rejected() {
        for name in [" alice", "alice ", "\u{3000}alice", "alice\u{a0}"] {
            assert!(sent(&names(), claims(name)).is_err(), "{name:?}");
        }
        let colon = basic("service:x", "s3cret").unwrap_err();
        assert_eq!(
            colon.to_string(),
            "the user's name has a colon, which Basic credentials can't carry"
        );
    }
}
