//! Compares what a case expects with what the plugin decided. Only what is named is compared.

use std::collections::BTreeSet;
use std::fmt;

use http::HeaderMap;
use http::Method;
use http::Uri;

use crate::cases::answer::Answer;
use crate::cases::expectation::Expectation;
use crate::cases::expectation::ExpectedCall;
use crate::cases::play::Call;

/// Something that isn't as expected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    what: String,
    expected: String,
    found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.what, self.expected, self.found)
    }
}

/// Everything that isn't as expected, in the order of the keys in the documentation.
pub(super) fn differences(expect: &Expectation, answer: &Answer, calls: &[Call]) -> Vec<Difference> {
    let mut found = Differences::default();
    let user = answer.user.as_ref();
    if let Some(status) = expect.status {
        found.compare(
            "status",
            status.as_u16().to_string(),
            answer.status.as_u16().to_string(),
        );
    }
    if let Some(verdict) = expect.verdict {
        found.compare("verdict", verdict.to_owned(), answer.verdict.to_owned());
    }
    if let Some(name) = &expect.user {
        let given = user.map_or_else(|| NO_USER.to_owned(), |user| format!("{:?}", user.name()));
        found.compare("user", format!("{name:?}"), given);
    }
    if let Some(groups) = &expect.groups {
        let given = user.map_or_else(|| NO_USER.to_owned(), |user| format!("{:?}", user.groups()));
        found.compare("groups", format!("{groups:?}"), given);
    }
    for (name, values) in &expect.attributes {
        let given = match (user, &answer.permit) {
            (Some(user), _) => format!("{:?}", named(user.attributes(), name)),
            (None, Some(permit)) => format!("{:?}", named(permit.attributes(), name)),
            (None, None) => NO_USER.to_owned(),
        };
        found.compare(&format!("attribute {name:?}"), format!("{values:?}"), given);
    }
    if let Some(part) = &expect.challenge
        && !answer.challenges.iter().any(|challenge| challenge.contains(part))
    {
        let given = listed(answer.challenges.iter().cloned(), "none");
        found.add("challenge", format!("one with {part:?}"), given);
    }
    if let Some(reads) = &expect.reads {
        let words = |names: BTreeSet<String>| listed(names, "nothing");
        let expected = words(reads.iter().map(ToString::to_string).collect());
        let given = words(
            answer
                .reads
                .iter()
                .map(|(attribute, _)| attribute.to_string())
                .collect(),
        );
        found.compare("reads", expected, given);
    }
    if let Some(expected) = &expect.calls {
        found.compare_calls(expected, calls);
    }
    found.0
}

const NO_USER: &str = "no user";

/// The values of the attributes of this name.
fn named<'a>(attributes: impl Iterator<Item = (&'a str, &'a str)>, name: &str) -> Vec<&'a str> {
    let named = attributes.filter(|(known, _)| *known == name);
    named.map(|(_, value)| value).collect()
}

fn listed(items: impl IntoIterator<Item = String>, none: &str) -> String {
    let items = Vec::from_iter(items);
    if items.is_empty() {
        none.to_owned()
    } else {
        items.join(", ")
    }
}

#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn compare(&mut self, what: &str, expected: String, found: String) {
        if expected != found {
            self.add(what, expected, found);
        }
    }

    fn compare_calls(&mut self, expected: &[ExpectedCall], calls: &[Call]) {
        let words = |call: (&Method, &Uri)| format!("{} {}", call.0, call.1);
        let wanted = Vec::from_iter(expected.iter().map(|call| words((&call.method, &call.url))));
        let given = Vec::from_iter(
            calls
                .iter()
                .map(|call| words((call.request.method(), call.request.uri()))),
        );
        if wanted != given {
            self.add("calls", listed(wanted, "none"), listed(given, "none"));
            return;
        }
        for ((expected, call), name) in expected.iter().zip(calls).zip(wanted) {
            for header in expected.headers.keys() {
                // What the plugin sent may be a credential, but it is one of a test.
                let values = |headers: &HeaderMap| {
                    let values = headers.get_all(header).iter();
                    Vec::from_iter(values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()))
                };
                let [wanted, given] = [&expected.headers, call.request.headers()].map(values);
                self.compare(
                    &format!("{name}: {header}"),
                    format!("{wanted:?}"),
                    format!("{given:?}"),
                );
            }
            if let Some(body) = &expected.body {
                let given = String::from_utf8_lossy(call.request.body());
                self.compare(&format!("{name}: body"), format!("{body:?}"), format!("{given:?}"));
            }
        }
    }

    fn add(&mut self, what: &str, expected: String, found: String) {
        let what = what.to_owned();
        self.0.push(Difference { what, expected, found });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;
    use portcullis::decision::Attribute;
    use portcullis::decision::Claims;
    use portcullis::decision::Identity;

    use super::*;

    fn granted() -> Answer {
        let claims = Claims {
            name: "alice".to_owned(),
            groups: vec!["staff".to_owned(), "ml".to_owned()],
            attributes: [("email", "a@x"), ("email", "b@x"), ("room", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Claims::default()
        };
        Answer {
            status: StatusCode::OK,
            user: Some(Identity::try_from(claims).unwrap()),
            permit: None,
            challenges: Vec::new(),
            reads: vec![(Attribute::Path, true), (Attribute::Header("x-key".to_owned()), false)],
            verdict: "grant",
            sentence: String::new(),
            warnings: Vec::new(),
            memory: 0,
            denied: 0,
            elapsed: Duration::ZERO,
        }
    }

    fn refused() -> Answer {
        Answer {
            status: StatusCode::UNAUTHORIZED,
            user: None,
            challenges: vec!["Basic realm=\"a\"".to_owned(), "Bearer".to_owned()],
            reads: Vec::new(),
            verdict: "reject",
            ..granted()
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_is_named_is_compared_and_nothing_else() {
        let none = Expectation::default;
        let attribute = |values: &[&str]| Expectation {
            attributes: vec![("email".to_owned(), texts(values))],
            ..none()
        };
        let reads = |reads: &[Attribute]| Expectation {
            reads: Some(reads.to_vec()),
            ..none()
        };
        let status = |status| Expectation {
            status: Some(status),
            ..none()
        };
        let verdict = |verdict| Expectation {
            verdict: Some(verdict),
            ..none()
        };
        let user = |user: &str| Expectation {
            user: Some(user.to_owned()),
            ..none()
        };
        let groups = |groups: &[&str]| Expectation {
            groups: Some(texts(groups)),
            ..none()
        };
        let challenge = |part: &str| Expectation {
            challenge: Some(part.to_owned()),
            ..none()
        };
        let key = || Attribute::Header("x-key".to_owned());
        for (expect, of_granted, of_refused) in [
            (none(), "", ""),
            (status(StatusCode::OK), "", "status: expected 200, found 401"),
            (verdict("reject"), "verdict: expected reject, found grant", ""),
            (user("alice"), "", "user: expected \"alice\", found no user"),
            (
                user("ali\nce"),
                "user: expected \"ali\\nce\", found \"alice\"",
                "user: expected \"ali\\nce\", found no user",
            ),
            (
                groups(&["staff", "ml"]),
                "",
                "groups: expected [\"staff\", \"ml\"], found no user",
            ),
            (
                groups(&["ml", "staff"]),
                "groups: expected [\"ml\", \"staff\"], found [\"staff\", \"ml\"]",
                "groups: expected [\"ml\", \"staff\"], found no user",
            ),
            (
                groups(&[]),
                "groups: expected [], found [\"staff\", \"ml\"]",
                "groups: expected [], found no user",
            ),
            (
                attribute(&["a@x", "b@x"]),
                "",
                "attribute \"email\": expected [\"a@x\", \"b@x\"], found no user",
            ),
            (
                attribute(&["a@x"]),
                "attribute \"email\": expected [\"a@x\"], found [\"a@x\", \"b@x\"]",
                "attribute \"email\": expected [\"a@x\"], found no user",
            ),
            (
                challenge("realm=\"a\""),
                "challenge: expected one with \"realm=\\\"a\\\"\", found none",
                "",
            ),
            (
                challenge("Digest"),
                "challenge: expected one with \"Digest\", found none",
                "challenge: expected one with \"Digest\", found Basic realm=\"a\", Bearer",
            ),
            (
                reads(&[key(), Attribute::Path, key()]),
                "",
                "reads: expected header x-key, path, found nothing",
            ),
            (
                reads(&[key()]),
                "reads: expected header x-key, found header x-key, path",
                "reads: expected header x-key, found nothing",
            ),
            (reads(&[]), "reads: expected nothing, found header x-key, path", ""),
        ] {
            for (answer, expected) in [(granted(), of_granted), (refused(), of_refused)] {
                let found = differences(&expect, &answer, &[]);
                let found = Vec::from_iter(found.iter().map(ToString::to_string));
                assert_eq!(found.join("; "), expected, "{expect:?}");
            }
        }
    }

    #[test]
    fn every_difference_is_found() {
        let expect = Expectation {
            status: Some(StatusCode::FORBIDDEN),
            user: Some("bob".to_owned()),
            reads: Some(Vec::new()),
            ..Expectation::default()
        };
        assert_eq!(differences(&expect, &granted(), &[]).len(), 3);
    }
}
