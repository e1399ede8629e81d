//! Finds the token of a request. A request with several tokens is refused, since different readers could pick different
//! ones (RFC 6750, section 2, forbids clients to send them).

use portcullis_sdk::NoCredentials;
use portcullis_sdk::Request;
use portcullis_sdk::settings;
use portcullis_tokens::error::TokenError;
use schemars::JsonSchema;
use serde::Deserialize;

settings! {
    /// A place in the request: a header, a cookie or a query parameter. The authenticator must also be granted it.
    #[non_exhaustive]
    pub struct LocationSettings {
        /// A header.
        #[schemars(extend("x-portcullis-grant" = "headers"))]
        pub header: Option<String>,
        /// The scheme in front of the token in the header, such as `Bearer`. Without it, the header contains the token
        /// alone.
        pub scheme: Option<String>,
        /// A cookie.
        #[schemars(extend("x-portcullis-grant" = "cookies"))]
        pub cookie: Option<String>,
        /// The password or the user of Basic credentials, in which some clients can carry a token and nothing else.
        #[schemars(extend("x-portcullis-grant" = { "headers": "authorization" }))]
        pub basic: Option<BasicPart>,
        /// A query parameter. It ends up in browser histories and logs; RFC 6750, section 5.3, advises against it.
        #[schemars(extend("x-portcullis-grant" = "query"))]
        pub query: Option<String>,
    }
}

/// A part of Basic credentials (RFC 7617, section 2).
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BasicPart {
    /// What stands after the colon.
    Password,
    /// What stands before the colon.
    User,
}

/// A place in the request.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(try_from = "LocationSettings")]
#[schemars(with = "LocationSettings")]
#[non_exhaustive]
pub enum Location {
    /// A part of Basic credentials.
    Basic(BasicPart),
    /// A cookie.
    Cookie(String),
    /// A header whose value is the token.
    Header(String),
    /// A query parameter.
    Query(String),
    /// A header with a scheme in front of the token.
    Scheme {
        /// The name of the header.
        header: String,
        /// The scheme, which is case-insensitive.
        scheme: String,
    },
}

impl Location {
    /// `Authorization: Bearer`.
    pub(crate) fn bearer() -> Self {
        Self::Scheme {
            header: "authorization".to_owned(),
            scheme: "bearer".to_owned(),
        }
    }

    /// Returns the tokens in this place, as far as they look like tokens.
    fn tokens(&self, request: &Request) -> Result<Vec<Vec<u8>>, TokenError> {
        let tokens = match self {
            Self::Basic(part) => match request.basic() {
                Ok(credentials) => vec![match part {
                    BasicPart::Password => credentials.password.into_bytes(),
                    BasicPart::User => credentials.user.into_bytes(),
                }],
                Err(NoCredentials::Absent) => Vec::new(),
                Err(_) => return Err(TokenError::Malformed("The Basic credentials are malformed")),
            },
            Self::Cookie(name) => request.cookie(name),
            Self::Header(name) => request.header(name),
            Self::Query(name) => request
                .query_parameter(name)
                .into_iter()
                .map(String::into_bytes)
                .collect(),
            Self::Scheme { header, scheme } => return of_scheme(&request.header(header), scheme),
        };
        Ok(tokens
            .into_iter()
            .filter(|token| !token.trim_ascii().is_empty())
            .collect())
    }
}

/// Returns the token of a request. It must be the only one and have at most `limit` bytes.
pub(crate) fn find(locations: &[Location], request: &Request, limit: usize) -> Result<String, TokenError> {
    let mut found = Vec::new();
    for location in locations {
        found.extend(location.tokens(request)?);
    }
    let mut found = found.into_iter();
    let token = match (found.next(), found.next()) {
        (None, _) => return Err(TokenError::Absent),
        (Some(_), Some(_)) => return Err(TokenError::Malformed("The request has more than one token")),
        (Some(token), None) => token,
    };
    if token.len() > limit {
        return Err(TokenError::Malformed("The token is too long"));
    }
    let token = String::from_utf8(token).map_err(|_| TokenError::NotJws)?;
    Ok(token.trim_ascii().to_owned())
}

/// Returns the token after a scheme. A header that is sent twice is refused if one of its values has the scheme.
fn of_scheme(values: &[Vec<u8>], scheme: &str) -> Result<Vec<Vec<u8>>, TokenError> {
    let mut tokens = values
        .iter()
        .filter_map(|value| strip_scheme(value.trim_ascii(), scheme.as_bytes()));
    let Some(token) = tokens.next() else {
        return Ok(Vec::new());
    };
    if values.len() > 1 {
        return Err(TokenError::Malformed("The request has more than one token"));
    }
    // RFC 9110, section 11.2: token68, which has all characters that occur in tokens.
    if token.is_empty()
        || !token
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte))
    {
        return Err(TokenError::Malformed(
            "The token is empty or contains invalid characters",
        ));
    }
    Ok(vec![token.to_owned()])
}

fn strip_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = value.split_at_checked(scheme.len())?;
    let is_whole = rest.first().is_none_or(|byte| *byte == b' ');
    (is_whole && start.eq_ignore_ascii_case(scheme)).then(|| rest.trim_ascii_start())
}

impl TryFrom<LocationSettings> for Location {
    type Error = &'static str;

    fn try_from(settings: LocationSettings) -> Result<Self, Self::Error> {
        let location = match settings {
            LocationSettings {
                basic: Some(part),
                header: None,
                scheme: None,
                cookie: None,
                query: None,
            } => return Ok(Self::Basic(part)),
            LocationSettings {
                header: Some(header),
                scheme: Some(scheme),
                basic: None,
                cookie: None,
                query: None,
            } => Self::Scheme {
                header: header.to_ascii_lowercase(),
                scheme: scheme.to_ascii_lowercase(),
            },
            LocationSettings {
                header: Some(header),
                scheme: None,
                basic: None,
                cookie: None,
                query: None,
            } => Self::Header(header.to_ascii_lowercase()),
            LocationSettings {
                header: None,
                scheme: None,
                basic: None,
                cookie: Some(cookie),
                query: None,
            } => Self::Cookie(cookie),
            LocationSettings {
                header: None,
                scheme: None,
                basic: None,
                cookie: None,
                query: Some(query),
            } => Self::Query(query),
            _ => return Err("needs exactly one of header, basic, cookie and query; only header can have a scheme"),
        };
        if location
            .names()
            .iter()
            .any(|name| name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err("a name must not be empty and must have visible ASCII characters only");
        }
        Ok(location)
    }
}

impl Location {
    fn names(&self) -> [&str; 2] {
        match self {
            Self::Basic(_) => ["authorization", "basic"],
            Self::Cookie(name) | Self::Header(name) | Self::Query(name) => [name, name],
            Self::Scheme { header, scheme } => [header, scheme],
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_sdk::testing::RequestBuilder;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq)]
    enum Found {
        Absent,
        Malformed,
        Token(&'static str),
    }

    fn check(request: RequestBuilder, expected: Found) {
        let locations = [
            Location::bearer(),
            Location::Header("x-jwt".to_owned()),
            Location::Cookie("jwt".to_owned()),
            Location::Query("access_token".to_owned()),
        ];
        let request = request.build();
        let shown = format!("{request:?}");
        match (find(&locations, &request, 20), expected) {
            (Err(TokenError::Absent), Found::Absent) | (Err(TokenError::Malformed(_)), Found::Malformed) => {}
            (Ok(token), Found::Token(expected)) => assert_eq!(token, expected, "{shown}"),
            (result, expected) => panic!("{shown}: {result:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_token_is_found_in_every_place() {
        let get = || RequestBuilder::get("/");
        check(get(), Found::Absent);
        check(get().header("Authorization", "Bearer a.b.c"), Found::Token("a.b.c"));
        check(get().header("Authorization", "bEARER   a.b.c "), Found::Token("a.b.c"));
        check(get().header("Authorization", "Basic YTpi"), Found::Absent);
        check(get().header("Authorization", "Bearerx a"), Found::Absent);
        check(get().header("Authorization", "Bear"), Found::Absent);
        check(get().header("X-Jwt", "a.b.c"), Found::Token("a.b.c"));
        check(get().header("X-Jwt", ""), Found::Absent);
        check(get().cookie("jwt", "a.b.c"), Found::Token("a.b.c"));
        check(get().cookie("jwt", ""), Found::Absent);
        check(get().query("x=1&access_token=a.b.c"), Found::Token("a.b.c"));
        check(get().query("access_token="), Found::Absent);
    }

    #[test]
    fn several_tokens_are_refused_even_when_they_are_equal() {
        let get = || RequestBuilder::get("/");
        check(
            get().header("Authorization", "Bearer a").cookie("jwt", "a"),
            Found::Malformed,
        );
        check(
            get()
                .header("Authorization", "Bearer a")
                .header("Authorization", "Bearer a"),
            Found::Malformed,
        );
        check(
            get()
                .header("Authorization", "Basic a")
                .header("Authorization", "Bearer a"),
            Found::Malformed,
        );
        check(
            get()
                .header("Authorization", "Basic a")
                .header("Authorization", "Digest a"),
            Found::Absent,
        );
        check(get().header("X-Jwt", "a").query("access_token=b"), Found::Malformed);
        check(get().cookie("jwt", "a").cookie("jwt", "b"), Found::Malformed);
        check(get().query("access_token=a&access_token=a"), Found::Malformed);
    }

    #[test]
    fn what_cannot_be_a_token_is_malformed() {
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a,b",
            "Bearer \"a\"",
            "Bearer a\tb",
        ] {
            check(
                RequestBuilder::get("/").header("Authorization", value),
                Found::Malformed,
            );
        }
        check(
            RequestBuilder::get("/").header("Authorization", b"Bearer \xff"),
            Found::Malformed,
        );
        check(RequestBuilder::get("/").cookie("jwt", "a".repeat(21)), Found::Malformed);
        check(
            RequestBuilder::get("/").cookie("jwt", "a".repeat(20)),
            Found::Token("aaaaaaaaaaaaaaaaaaaa"),
        );
    }

    /// Row C11 of the field reports: some clients know Basic credentials only.
    #[test]
    fn a_token_may_be_a_part_of_basic_credentials() {
        let basic = |credentials: &str| {
            let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, credentials);
            RequestBuilder::get("/")
                .header("authorization", format!("Basic {encoded}"))
                .build()
        };
        for (part, credentials, expected) in [
            (BasicPart::Password, "oauth2:a.b.c", Some("a.b.c")),
            (BasicPart::Password, "a.b.c:", None),
            (BasicPart::User, "a.b.c:", Some("a.b.c")),
            (BasicPart::User, "a.b.c:x-oauth-basic", Some("a.b.c")),
            (BasicPart::User, ":a.b.c", None),
        ] {
            let found = find(&[Location::bearer(), Location::Basic(part)], &basic(credentials), 20);
            assert_eq!(found.ok().as_deref(), expected, "{part:?} {credentials}");
        }
        let both = basic("oauth2:a.b.c");
        let places = [Location::Basic(BasicPart::Password), Location::Basic(BasicPart::User)];
        assert!(matches!(find(&places, &both, 20), Err(TokenError::Malformed(_))));
        let broken = RequestBuilder::get("/").header("authorization", "Basic !").build();
        assert!(matches!(find(&places, &broken, 20), Err(TokenError::Malformed(_))));
    }

    #[test]
    fn a_place_is_a_header_a_cookie_or_a_query_parameter() {
        let good = [
            json!({"header": "authorization", "scheme": "Bearer"}),
            json!({"header": "x"}),
            json!({"cookie": "x"}),
            json!({"query": "x"}),
            json!({"basic": "password"}),
            json!({"basic": "user"}),
        ];
        for place in good {
            assert!(serde_json::from_value::<Location>(place.clone()).is_ok(), "{place}");
        }
        let bad = [
            json!({}),
            json!({"scheme": "Bearer"}),
            json!({"cookie": "x", "scheme": "Bearer"}),
            json!({"cookie": "x", "header": "y"}),
            json!({"header": ""}),
            json!({"header": "x", "scheme": "Bearer "}),
            json!({"headers": "x"}),
            json!({"basic": "other"}),
            json!({"basic": "user", "scheme": "Basic"}),
            json!({"basic": "user", "query": "x"}),
        ];
        for place in bad {
            assert!(serde_json::from_value::<Location>(place.clone()).is_err(), "{place}");
        }
    }
}
