//! The session cookie: its name and attributes, and how it is read from a request. Over TLS its name has the prefix
//! `__Host-`, so that other hosts of the same domain can't set it (RFC 6265bis, section 4.1.3.2), unless they shall share it.

use std::time::Duration;

use cookie::CookieBuilder;
use cookie::SameSite;
use http::HeaderMap;
use http::HeaderValue;
use portcullis_wire::cookies;

use super::SessionError;

/// The name and attributes of the session cookie.
#[derive(Clone, Debug)]
pub struct Options {
    name: String,
    secure: bool,
    max_age: Duration,
    idle: Option<Duration>,
    domain: Option<String>,
    same_site: SameSite,
    partitioned: bool,
}

/// On which requests from other sites a browser sends the session cookie (RFC 6265bis, section 5.6.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has no other values")]
pub enum SameSitePolicy {
    /// When a user follows a link to this site.
    Lax,
    /// On all, so that pages of other sites can show this one in a frame, and can also send requests as the user.
    None,
    /// On none.
    Strict,
}

impl Options {
    /// A cookie of this name. Set `secure` if clients use TLS: the name then gets the prefix `__Host-`, and browsers
    /// send the cookie over TLS only. `max_age` is the longest lifetime of a session, even if a plugin allows a longer
    /// one.
    ///
    /// Returns `None` if the name is empty or has characters other than ASCII letters, digits, `-` and `_`.
    pub fn new(name: &str, secure: bool, max_age: Duration) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(allowed) {
            return None;
        }
        let prefix = if secure && !name.starts_with("__Host-") {
            "__Host-"
        } else {
            ""
        };
        Some(Self {
            name: format!("{prefix}{name}"),
            secure,
            max_age,
            idle: None,
            domain: None,
            same_site: SameSite::Lax,
            partitioned: false,
        })
    }

    /// Ends a session that wasn't used for this long. Its cookie is then renewed with its use. Default: only `max_age` counts.
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// Shares the cookie with all hosts of a domain. The name loses the prefix `__Host-`, and any of these hosts can set or
    /// read the cookie.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.to_owned());
        if let Some(bare) = self.name.strip_prefix("__Host-") {
            self.name = format!("__Secure-{bare}");
        }
        self
    }

    /// Sets on which requests from other sites browsers send the cookie. The default is [`SameSitePolicy::Lax`].
    /// [`SameSitePolicy::None`] needs TLS, or browsers drop the cookie.
    #[must_use]
    pub fn same_site(mut self, policy: SameSitePolicy) -> Self {
        self.same_site = match policy {
            SameSitePolicy::Lax => SameSite::Lax,
            SameSitePolicy::None => SameSite::None,
            SameSitePolicy::Strict => SameSite::Strict,
        };
        self
    }

    /// Keeps a cookie of its own for each site that shows this one in a frame (CHIPS). It needs TLS.
    #[must_use]
    pub fn partitioned(mut self) -> Self {
        self.partitioned = true;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn max_age(&self) -> Duration {
        self.max_age
    }

    pub(super) fn is_sent_across_sites(&self) -> bool {
        self.same_site == SameSite::None
    }

    pub(super) fn idle_age(&self) -> Option<Duration> {
        self.idle
    }

    /// The value of the session cookie in a request's headers. Returns `None` if there is no such cookie, and an error if
    /// there are several.
    pub(super) fn read<'a>(&'a self, headers: &'a HeaderMap) -> Result<Option<&'a [u8]>, SessionError> {
        let mut own = cookies::values(headers, &self.name);
        match (own.next(), own.next()) {
            (Some(_), Some(_)) => Err(SessionError::Several),
            (value, _) => Ok(value),
        }
    }

    /// The `Set-Cookie` value for a session of this lifetime. The seal says when the session is over; the browser,
    /// which knows whole seconds only, may keep the cookie to the end of the last one.
    pub(super) fn set(&self, value: &str, lifetime: Duration) -> Option<HeaderValue> {
        let seconds = i64::try_from(lifetime.as_millis().div_ceil(1000)).ok()?;
        HeaderValue::try_from(self.written(value, seconds)).ok()
    }

    /// The `Set-Cookie` value that ends a session.
    pub(super) fn clear(&self) -> HeaderValue {
        HeaderValue::try_from(self.written("", 0)).unwrap_or(HeaderValue::from_static(""))
    }

    fn written(&self, value: &str, seconds: i64) -> String {
        let mut cookie = CookieBuilder::new(self.name.as_str(), value)
            .max_age(cookie::time::Duration::seconds(seconds))
            .path("/")
            .http_only(true)
            .same_site(self.same_site)
            .secure(self.secure)
            .build();
        if let Some(domain) = &self.domain {
            cookie.set_domain(domain.as_str());
        }
        if self.partitioned {
            cookie.set_partitioned(true);
        }
        cookie.to_string()
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_session_cookie_is_for_the_browser_and_this_host_only() {
        for (secure, expected) in [
            (false, "sid=v; HttpOnly; SameSite=Lax; Path=/; Max-Age=60"),
            (true, "__Host-sid=v; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"),
        ] {
            let options = Options::new("sid", secure, HOUR).unwrap();
            let set = options.set("v", Duration::from_millis(59_001)).unwrap();
            assert_eq!(set, expected);
            let cleared = expected.replace("=v", "=").replace("=60", "=0");
            assert_eq!(options.clear(), cleared);
        }
    }

    #[test]
    fn a_shared_cookie_is_not_for_this_host_only() {
        let options = Options::new("sid", true, HOUR).unwrap().domain("example.org");
        let set = options.set("v", Duration::from_secs(60)).unwrap();
        assert_eq!(
            set,
            "__Secure-sid=v; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=example.org; Max-Age=60"
        );
        let embedded = Options::new("sid", true, HOUR).unwrap();
        let embedded = embedded.same_site(SameSitePolicy::None).partitioned();
        let set = embedded.set("v", Duration::from_secs(60)).unwrap();
        assert_eq!(
            set,
            "__Host-sid=v; HttpOnly; SameSite=None; Partitioned; Secure; Path=/; Max-Age=60"
        );
    }

    #[test]
    fn one_session_cookie_is_read_and_of_several_none() {
        let options = Options::new("sid", false, HOUR).unwrap();
        for (fields, expected) in [
            (&[&b"sid=v"[..]][..], Some("v")),
            (&[b"a=1; sid=v; b=2"], Some("v")),
            (&[b"a=1", b"sid=v"], Some("v")),
            (&[b"a=\xff\xfe; sid=v"], Some("v")),
            (&[b"sid=v=w"], Some("v=w")),
            (&[b"sid=%76"], Some("%76")),
            (&[b"sid=\"v\""], Some("\"v\"")),
            (&[b"sid="], Some("")),
            (&[b"SID=v; xsid=v; sidx=v; sid"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::COOKIE, HeaderValue::from_bytes(field).unwrap());
            }
            let expected = expected.map(str::as_bytes);
            assert_eq!(options.read(&headers).unwrap(), expected, "{fields:?}");
        }
        for several in ["sid=v; sid=v", "sid=v; sid=w", "sid=v; sid =w", "sid=v; a=b; sid="] {
            let headers = HeaderMap::from_iter([(header::COOKIE, several.parse().unwrap())]);
            assert_eq!(options.read(&headers), Err(SessionError::Several), "{several}");
        }
    }
}
