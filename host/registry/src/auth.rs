//! Answers the challenge of a registry: with a password (RFC 7617), or with a token that its token service gives for one
//! ([token authentication](https://distribution.github.io/distribution/spec/auth/token/)).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::StatusCode;
use http::Uri;
use http::header;
use http::uri::Scheme;
use http_auth::ChallengeRef;
use http_body_util::Full;
use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;

use crate::credentials::Credentials;
use crate::error::Error;
use crate::error::quoted;
use crate::exchange;
use crate::session::Session;

/// The maximum size of the answer of a token service, in bytes.
const MAX_TOKEN: u64 = 1 << 20;

/// Characters that RFC 3986 leaves as they are.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a registry asks for.
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

/// Makes the `Authorization` for a registry that sent these headers with a 401. `None` if there are no credentials that it
/// could take.
pub(crate) async fn answer(
    session: &Session,
    headers: &HeaderMap,
    credentials: Option<&Credentials>,
) -> Result<Option<HeaderValue>, Error> {
    match (challenge(headers), credentials) {
        (Some(Challenge::Bearer { realm, service }), credentials) => {
            token(session, &realm, service.as_deref(), credentials).await.map(Some)
        }
        (Some(Challenge::Basic), Some(Credentials::Password { username, password })) => {
            Ok(Some(basic(username, password)))
        }
        _ => Ok(None),
    }
}

/// The first challenge that is understood. A token is preferred, because then the registry doesn't see the password.
fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
    let values = Vec::from_iter(values.filter_map(|value| value.to_str().ok()));
    let challenges = values
        .iter()
        .filter_map(|value| http_auth::parse_challenges(value).ok());
    let challenges = Vec::from_iter(challenges.flatten());
    let parameter = |challenge: &ChallengeRef<'_>, name: &str| {
        let mut parameters = challenge.params.iter();
        let (_, value) = parameters.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.to_unescaped())
    };
    let bearer = challenges.iter().find_map(|challenge| {
        let realm = parameter(challenge, "realm").filter(|_| challenge.scheme.eq_ignore_ascii_case("bearer"))?;
        let service = parameter(challenge, "service");
        Some(Challenge::Bearer { realm, service })
    });
    let basic = || {
        let mut challenges = challenges.iter();
        let basic = challenges.any(|challenge| challenge.scheme.eq_ignore_ascii_case("basic"));
        basic.then_some(Challenge::Basic)
    };
    bearer.or_else(basic)
}

fn basic(username: &str, password: &str) -> HeaderValue {
    sensitive(&format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{username}:{password}"))
    ))
    // Base64 has nothing that isn't allowed in a header.
    .unwrap_or_else(|| HeaderValue::from_static("Basic"))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A token service's answer. Some call the token by another name.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// Gets a token for the session's repository. The registry says where the token service is, which gets the password; it is
/// asked over https unless it is the registry itself, and redirects aren't followed.
async fn token(
    session: &Session,
    realm: &str,
    service: Option<&str>,
    credentials: Option<&Credentials>,
) -> Result<HeaderValue, Error> {
    let malformed = |why: String| Error::Malformed {
        host: session.host().to_owned(),
        what: "the address of a token service",
        why,
    };
    let uri: Uri = realm.parse().map_err(|_| malformed(quoted(realm)))?;
    let Some(authority) = uri.authority().filter(|authority| !authority.as_str().contains('@')) else {
        return Err(malformed(quoted(realm)));
    };
    if uri.scheme() != Some(&Scheme::HTTPS) && !session.is_own_origin(&uri) {
        return Err(malformed(format!("{} isn't https", quoted(realm))));
    }
    let host = authority.as_str().to_owned();
    let escape = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
    let scope = escape(&session.scope());
    let service = service
        .map(|service| format!("&service={}", escape(service)))
        .unwrap_or_default();
    let request = match credentials {
        // OAuth 2.0, as Docker's token services speak it.
        Some(Credentials::IdentityToken(token)) => {
            let form = format!(
                "grant_type=refresh_token&client_id=portcullis&scope={scope}{service}&refresh_token={}",
                escape(token)
            );
            Request::builder()
                .method(Method::POST)
                .uri(uri.clone())
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Full::new(Bytes::from(form)))
        }
        credentials => {
            let separator = if uri.query().is_some() { '&' } else { '?' };
            let mut request = Request::builder().uri(format!("{realm}{separator}scope={scope}{service}"));
            if let Some(Credentials::Password { username, password }) = credentials {
                request = request.header(header::AUTHORIZATION, basic(username, password));
            }
            request.body(Full::default())
        }
    };
    let request = request.map_err(|error| malformed(error.to_string()))?;
    let client = session.client_for(&uri)?;
    let response = exchange::send(&client, request, &host, exchange::IDLE).await?;
    let status = response.status();
    match status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(session.denied(status, credentials.is_some()));
        }
        status => {
            return Err(Error::Status {
                host,
                what: "the request for a token".to_owned(),
                status,
                detail: String::new(),
            });
        }
    }
    let bytes = exchange::body(response, &host, "a token", MAX_TOKEN).await?;
    // The parser's error would quote the token.
    let unusable = || Error::Malformed {
        host: host.clone(),
        what: "a token",
        why: "expected JSON with the text \"token\" or \"access_token\"".to_owned(),
    };
    let token = serde_json::from_slice::<Token>(&bytes).map_err(|_| unusable())?;
    let token = token.token.or(token.access_token).ok_or_else(unusable)?;
    sensitive(&format!("Bearer {token}")).ok_or_else(unusable)
}
