//! What one plugin rules about a request, and what follows.

use http::HeaderMap;

use super::Challenge;
use super::Outcome;
use super::Permit;
use super::Refusal;
use super::Verdict;

/// The result of one plugin.
#[derive(Clone, Debug)]
pub(crate) struct Ruling {
    /// What follows.
    pub(crate) next: Next,
    /// The result in words for the operator.
    pub(crate) verdict: Verdict,
}

/// What follows after one plugin.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// The next authenticator is called. The challenge is for the client if all of them pass.
    Continue(Option<Challenge>),
    /// The authorizer permits the request, and the next one is asked.
    Permit(Permit),
    /// It ends with this outcome.
    Stop(Outcome),
}

impl Ruling {
    /// Whether it identifies a user, or permits a request.
    pub(crate) fn is_grant(&self) -> bool {
        matches!(self.next, Next::Permit(_) | Next::Stop(Outcome::Grant(_)))
    }

    /// The approximate size of its texts, in bytes.
    pub(crate) fn size(&self) -> usize {
        let next = match &self.next {
            Next::Continue(challenge) => challenge.iter().map(Challenge::size).sum(),
            Next::Permit(permit) => permit.size(),
            Next::Stop(Outcome::Grant(user)) => user.identity().size() + headers(user.response_headers()),
            Next::Stop(Outcome::Refuse(refusal)) => match refusal {
                Refusal::Unauthenticated { challenges, .. } => challenges.iter().map(Challenge::size).sum(),
                Refusal::Forbid { challenge } => challenge.iter().map(Challenge::size).sum(),
                Refusal::Respond(response) => headers(&response.headers) + response.body.len(),
                Refusal::Hide | Refusal::TooManyRequests { .. } | Refusal::Unavailable { .. } => 0,
            },
        };
        next + self.verdict.reason().map_or(0, str::len)
    }
}

fn headers(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::HeaderValue;
    use http::StatusCode;

    use super::*;
    use crate::decision::Authenticated;
    use crate::decision::Claims;
    use crate::decision::PluginResponse;
    use crate::role::Role;

    /// A ruling with this text in one place.
    type OfText<'a> = &'a dyn Fn(&str) -> Ruling;

    fn header(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::header::LOCATION, HeaderValue::from_str(text).unwrap())])
    }

    fn grant(claims: Claims, headers: &str) -> Ruling {
        let user = Authenticated {
            identity: Arc::new(claims.try_into().unwrap()),
            authenticator: "a".into(),
            fingerprint: "f".into(),
            valid_for: None,
            response_headers: header(headers),
        };
        Ruling {
            next: Next::Stop(Outcome::Grant(user)),
            verdict: Verdict::Grant { user: String::new() },
        }
    }

    fn refuse(refusal: Refusal, why: &str) -> Ruling {
        Ruling {
            next: Next::Stop(Outcome::Refuse(refusal)),
            verdict: Verdict::Reject(why.to_owned()),
        }
    }

    fn unavailable() -> Refusal {
        Refusal::Unavailable {
            role: Role::Authenticator,
            retry_after: None,
        }
    }

    fn challenge(realm: &str) -> Challenge {
        Challenge::new("Basic", [("realm", realm)]).unwrap()
    }

    fn respond(headers: &str, body: &str) -> Ruling {
        let response = PluginResponse {
            status: StatusCode::FOUND,
            headers: header(headers),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        refuse(Refusal::Respond(response), "")
    }

    /// The store of decisions is bounded by the sizes of its entries.
    #[test]
    fn whatever_a_plugin_writes_counts_for_the_size() {
        let named = |name: &str| Claims {
            name: name.to_owned(),
            ..Claims::default()
        };
        let of_text: [(&str, OfText<'_>); 12] = [
            ("name", &|text| grant(named(text), "")),
            ("group", &|text| {
                let groups = vec!["g".to_owned(), text.to_owned()];
                grant(
                    Claims {
                        groups,
                        ..named("alice")
                    },
                    "",
                )
            }),
            ("attribute's name", &|text| {
                let attributes = vec![(text.to_owned(), "value".to_owned())];
                grant(
                    Claims {
                        attributes,
                        ..named("alice")
                    },
                    "",
                )
            }),
            ("attribute's value", &|text| {
                let attributes = vec![("name".to_owned(), text.to_owned())];
                grant(
                    Claims {
                        attributes,
                        ..named("alice")
                    },
                    "",
                )
            }),
            ("header", &|text| grant(named("alice"), text)),
            ("passed challenge", &|text| Ruling {
                next: Next::Continue(Some(challenge(text))),
                verdict: Verdict::Pass(None),
            }),
            ("challenge", &|text| {
                let challenges = vec![challenge(text), challenge("")];
                refuse(
                    Refusal::Unauthenticated {
                        credentials: true,
                        challenges,
                    },
                    "why",
                )
            }),
            ("challenge of a 403", &|text| {
                let challenge = Some(challenge(text));
                refuse(Refusal::Forbid { challenge }, "why")
            }),
            ("response's header", &|text| respond(text, "body")),
            ("response's body", &|text| respond("x", text)),
            ("reason", &|text| refuse(Refusal::Forbid { challenge: None }, text)),
            ("reason of a 503", &|text| refuse(unavailable(), text)),
        ];
        for (what, ruling) in of_text {
            let (short, long) = (ruling("1").size(), ruling(&"1".repeat(201)).size());
            assert_eq!(long.checked_sub(short), Some(200), "{what}");
        }
        let groups = |count: usize| Claims {
            groups: vec!["g".to_owned(); count],
            ..named("alice")
        };
        let each = (grant(groups(1000), "").size() - grant(groups(0), "").size()) / 1000;
        assert!(
            each > size_of::<String>(),
            "many short texts take more memory than their bytes: {each}"
        );
        let attributes = |count: usize| Claims {
            attributes: vec![("n".to_owned(), "v".to_owned()); count],
            ..named("alice")
        };
        let each = (grant(attributes(64), "").size() - grant(attributes(0), "").size()) / 64;
        assert!(each > 2 * size_of::<String>(), "{each}");
        assert_eq!(respond("", "").size(), "location".len(), "the names of headers count");
    }

    #[test]
    fn only_an_identified_user_is_a_grant() {
        let claims = Claims {
            name: "alice".to_owned(),
            ..Claims::default()
        };
        assert!(grant(claims, "").is_grant());
        assert!(!respond("x", "").is_grant());
        assert!(!refuse(unavailable(), "").is_grant());
    }
}
