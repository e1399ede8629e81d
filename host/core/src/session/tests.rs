use ::cookie::Cookie;
use http::header;

use super::*;
use crate::authenticator::Authenticator;
use crate::decision::Claims;
use crate::grants::Grants;

#[test]
fn a_session_lives_as_long_as_it_may_whenever_it_begins() {
    let millis = Duration::from_millis;
    for lifetime in [1, 999, 1000, 1500, 43_200_000].map(millis) {
        for start in [0, 1, 500, 999, 1000, 1_800_000_000_999].map(millis) {
            let expiry = Expiry::after(lifetime, start).unwrap();
            assert_eq!(expiry.left(start), Some(lifetime), "{start:?}");
            assert_eq!(expiry.left(start + lifetime - millis(1)), Some(millis(1)), "{start:?}");
            assert_eq!(expiry.left(start + lifetime), None, "{start:?}");
            assert_eq!(expiry.left(start + lifetime * 2), None, "{start:?}");
        }
    }
    for nothing in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        assert_eq!(Expiry::after(nothing, millis(1)), None, "{nothing:?}");
    }
}

fn sessions(key: &Key) -> Sessions {
    let options = Options::new("sid", false, Duration::from_secs(3600)).unwrap();
    Sessions::new(KeyRing::new([key.clone()]).unwrap(), options)
}

fn authenticated(valid_for: Option<Duration>, attribute: String) -> Authenticated {
    let claims = Claims {
        name: "alice".to_owned(),
        attributes: vec![("a".to_owned(), attribute)],
        ..Claims::default()
    };
    Authenticated {
        identity: Arc::new(claims.try_into().unwrap()),
        authenticator: "off".into(),
        fingerprint: "f".into(),
        valid_for,
        response_headers: HeaderMap::new(),
    }
}

#[test]
fn a_session_lives_no_longer_than_its_authenticator_and_its_operator_allow() {
    let sessions = sessions(&Key::generate().unwrap());
    for (valid_for, max_age) in [
        (None, None),
        (Some(Duration::ZERO), None),
        (Some(Duration::from_secs(60)), Some("Max-Age=60")),
        (Some(Duration::from_secs(3600)), Some("Max-Age=3600")),
        (Some(Duration::from_secs(7200)), Some("Max-Age=3600")),
    ] {
        let cookie = sessions.seal(&authenticated(valid_for, String::new()));
        let cookie = cookie.map(|cookie| cookie.to_str().unwrap().to_owned());
        let found = cookie.as_deref().and_then(|cookie| cookie.rsplit("; ").next());
        assert_eq!(found, max_age, "{valid_for:?}");
    }
}

#[test]
fn an_identity_that_is_too_large_for_a_cookie_gets_no_session() {
    let sessions = sessions(&Key::generate().unwrap());
    let sealed = |length: usize| {
        let cookie = sessions.seal(&authenticated(Some(Duration::from_secs(60)), "x".repeat(length)))?;
        let cookie = Cookie::parse(cookie.to_str().unwrap().to_owned()).unwrap();
        Some(cookie.value().len())
    };
    let longest = (2600..2800).rfind(|length| sealed(*length).is_some()).unwrap();
    assert_eq!(sealed(longest), Some(MAX_COOKIE));
    assert!((longest - 5..longest).all(|length| sealed(length).is_some()));
}

#[test]
fn a_cookie_that_is_in_doubt_opens_no_session() {
    let (own, other) = (Key::generate().unwrap(), Key::generate().unwrap());
    let chain = Chain::new([Authenticator::disabled("off", Grants::default(), "it is tested")]);
    let hour = now() + Duration::from_secs(3600);
    let seal = |key: &Key, name: &str, expires: Duration| {
        let user = authenticated(None, String::new());
        let session = Sealed {
            identity: user.identity,
            authenticator: user.authenticator,
            fingerprint: user.fingerprint,
            expires: Expiry(expires.as_millis().try_into().unwrap()),
        };
        let ring = KeyRing::new([key.clone()]).unwrap();
        ring.seal(name, &serde_json::to_vec(&session).unwrap()).unwrap()
    };
    let no_json = KeyRing::new([own.clone()]).unwrap().seal("sid", b"{").unwrap();
    let sessions = sessions(&own);
    for (cookie, error) in [
        ("other=x".to_owned(), None),
        ("sid=".to_owned(), Some(SessionError::Seal)),
        (format!("sid={no_json}"), Some(SessionError::Seal)),
        (format!("sid={}", seal(&other, "sid", hour)), Some(SessionError::Seal)),
        (format!("sid={}", seal(&own, "another", hour)), Some(SessionError::Seal)),
        // It would have been valid in 1970.
        (
            format!("sid={}", seal(&own, "sid", Duration::from_secs(3600))),
            Some(SessionError::Expired),
        ),
        (format!("sid={}", seal(&own, "sid", now())), Some(SessionError::Expired)),
        (
            format!("sid={}", seal(&own, "sid", hour)),
            Some(SessionError::Authenticator),
        ),
        (
            format!("sid=; sid={}", seal(&own, "sid", hour)),
            Some(SessionError::Several),
        ),
    ] {
        let (parts, ()) = http::Request::new(()).into_parts();
        let mut request = AuthRequest::from_parts(&parts);
        request.headers.insert(header::COOKIE, cookie.parse().unwrap());
        let opened = sessions.open(&request, &chain);
        assert!(!matches!(opened, Ok(Some(_))), "{cookie}");
        assert_eq!(opened.err(), error, "{cookie}");
    }
}
