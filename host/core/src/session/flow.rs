//! Attempts to log in, each in a sealed cookie of its own, so that two tabs don't disturb each other and nothing is stored here. A
//! browser has three at most.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::cookie::CookieBuilder;
use ::cookie::SameSite;
use http::HeaderMap;
use http::HeaderValue;
use portcullis_wire::cookies;
use serde::Deserialize;
use serde::Serialize;

use super::ring::KeyRing;
use super::ring::Purpose;
use super::sealed::Time;
use crate::cookies::FLOW_COOKIE;
use crate::cookies::SECURE_FLOW_COOKIE;
use crate::login::Flow;

/// How long a user may take to log in.
const LIFE: Duration = Duration::from_secs(15 * 60);

/// How far the clock of another replica may be ahead, in milliseconds.
const AHEAD: u64 = 60_000;

/// The most flows of a browser. The oldest ones make room.
const MAX_FLOWS: usize = 3;

/// The most cookies of flows that are looked at. A browser that has more got them from somebody else.
const MAX_LOOKED_AT: usize = 32;

/// The longest sealed flow, in bytes.
const MAX_COOKIE: usize = 3072;

/// How many characters of the state are in the cookie's name.
const NAMED: usize = 8;

/// Seals and opens the cookies of flows.
#[derive(Clone, Debug)]
pub struct Flows {
    keys: Arc<KeyRing>,
    secure: bool,
}

/// An attempt to log in that has begun.
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "built by whoever begins it")]
pub struct PendingFlow {
    /// The flow.
    pub flow: Flow,
    /// The name of the authenticator whose login was asked.
    pub authenticator: String,
    /// Where the user wants to go, as the caller has checked it.
    pub to: String,
    /// What [`Departure::memo`](crate::Departure::memo) was. It may be a secret.
    pub memo: Vec<u8>,
}

/// The JSON of a cookie; the memo is behind it.
#[derive(Deserialize, Serialize)]
struct Sealed {
    #[serde(rename = "s")]
    state: String,
    #[serde(rename = "r")]
    redirect_uri: String,
    #[serde(rename = "q", default)]
    silent: bool,
    #[serde(rename = "a")]
    authenticator: String,
    #[serde(rename = "t")]
    to: String,
    #[serde(rename = "m")]
    made: Time,
}

/// Why a flow isn't kept in a cookie.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableFlow {
    /// The state is none of [`Flow::new`].
    #[error("the state of the flow isn't 22 characters of base64url")]
    State,
    /// Address and memo don't fit into a cookie.
    #[error("the flow doesn't fit into a cookie of 3 KiB")]
    TooLarge,
    /// The system has no random numbers.
    #[error("the flow can't be sealed")]
    Unsealed,
}

impl Flows {
    /// Flows that are sealed with these keys, those of [`Sessions`](super::Sessions). Set `secure` if clients use TLS.
    pub fn new(keys: impl Into<Arc<KeyRing>>, secure: bool) -> Self {
        Self {
            keys: keys.into(),
            secure,
        }
    }

    /// Whether a cookie of this name is one of flows, or one that belongs to them. It is for nobody but whoever owns the flows.
    pub fn own(name: &str) -> bool {
        name.starts_with(SECURE_FLOW_COOKIE) || name.starts_with(FLOW_COOKIE)
    }

    /// The `Set-Cookie` value of a cookie that belongs to the flows of a browser, with a name of letters that tells what it is
    /// for and isn't eight characters long. `None` if the value can't be a cookie's. It isn't sealed.
    pub fn set_beside(&self, purpose: &str, value: &str, life: Duration) -> Option<HeaderValue> {
        self.set(&self.beside(purpose), value, life)
    }

    /// The value of such a cookie in the header fields of a request. `None` if there is none, or if there are several.
    pub fn read_beside(&self, headers: &HeaderMap, purpose: &str) -> Option<String> {
        let name = self.beside(purpose);
        let mut own = cookies::values(headers, &name);
        let (Some(value), None) = (own.next(), own.next()) else {
            return None;
        };
        str::from_utf8(value).ok().map(str::to_owned)
    }

    fn beside(&self, purpose: &str) -> String {
        format!("{}{purpose}", self.prefix())
    }

    /// The `Set-Cookie` values that begin a flow: that of the flow itself, and those that remove older flows of the request which
    /// there is no room for, or which are over.
    ///
    /// # Errors
    ///
    /// Returns why the flow can't be kept.
    pub fn begin(&self, headers: &HeaderMap, pending: &PendingFlow) -> Result<Vec<HeaderValue>, UnusableFlow> {
        let name = self.name(&pending.flow.state).ok_or(UnusableFlow::State)?;
        let now = Time::now();
        let sealed = Sealed {
            state: pending.flow.state.clone(),
            redirect_uri: pending.flow.redirect_uri.clone(),
            silent: pending.flow.silent,
            authenticator: pending.authenticator.clone(),
            to: pending.to.clone(),
            made: now,
        };
        let mut bytes = serde_json::to_vec(&sealed).map_err(|_| UnusableFlow::Unsealed)?;
        bytes.extend_from_slice(&pending.memo);
        let text = self.keys.seal_for(Purpose::Flow, &name, &bytes);
        let text = text.ok_or(UnusableFlow::Unsealed)?;
        if text.len() > MAX_COOKIE {
            return Err(UnusableFlow::TooLarge);
        }
        let mut fields = vec![self.set(&name, &text, LIFE)];
        fields.extend(
            self.superfluous(headers, &name, now)
                .iter()
                .map(|old| self.set(old, "", Duration::ZERO)),
        );
        fields.into_iter().collect::<Option<_>>().ok_or(UnusableFlow::Unsealed)
    }

    /// The flow of this state that the browser has begun with this authenticator. `None` if there is none, if it is over, or if the
    /// browser sends several cookies of its name.
    pub fn find(&self, headers: &HeaderMap, authenticator: &str, state: &str) -> Option<PendingFlow> {
        let name = self.name(state)?;
        let mut own = cookies::values(headers, &name);
        let (Some(value), None) = (own.next(), own.next()) else {
            return None;
        };
        let (sealed, memo) = self.open(&name, value, Time::now())?;
        let is_own = sealed.state == state && sealed.authenticator == authenticator;
        is_own.then_some(PendingFlow {
            flow: Flow {
                state: sealed.state,
                redirect_uri: sealed.redirect_uri,
                silent: sealed.silent,
            },
            authenticator: sealed.authenticator,
            to: sealed.to,
            memo,
        })
    }

    /// The `Set-Cookie` value that ends the flow of this state. `None` if no flow can have this state.
    pub fn clear(&self, state: &str) -> Option<HeaderValue> {
        self.set(&self.name(state)?, "", Duration::ZERO)
    }

    fn open(&self, name: &str, value: &[u8], now: Time) -> Option<(Sealed, Vec<u8>)> {
        let opened = self.keys.open_for(Purpose::Flow, name, value)?;
        let mut json = serde_json::Deserializer::from_slice(&opened).into_iter::<Sealed>();
        let sealed = json.next()?.ok()?;
        let memo = opened.get(json.byte_offset()..)?.to_vec();
        let is_valid = sealed.made.ago(now) < LIFE && sealed.made.0 <= now.0.saturating_add(AHEAD);
        is_valid.then_some((sealed, memo))
    }

    /// The names of the flows that a new one of this name replaces.
    fn superfluous(&self, headers: &HeaderMap, new: &str, now: Time) -> Vec<String> {
        let mut valid = Vec::new();
        let mut others = Vec::new();
        let prefix = self.prefix();
        let own = cookies::request_cookies(headers).filter(|(name, _)| name.starts_with(prefix.as_bytes()));
        for (name, value) in own.take(MAX_LOOKED_AT) {
            let Ok(name) = str::from_utf8(name) else { continue };
            if name == new || name.len() != prefix.len() + NAMED || !is_base64url(name) {
                continue;
            }
            match value.and_then(|value| self.open(name, value, now)) {
                Some((sealed, _)) => valid.push((sealed.made, name.to_owned())),
                None => others.push(name.to_owned()),
            }
        }
        valid.sort();
        let over = (valid.len() + 1).saturating_sub(MAX_FLOWS);
        others.extend(valid.into_iter().take(over).map(|(_, name)| name));
        others.sort();
        others.dedup();
        others
    }

    const fn prefix(&self) -> &'static str {
        match self.secure {
            true => SECURE_FLOW_COOKIE,
            false => FLOW_COOKIE,
        }
    }

    /// The name of the cookie of a state. `None` if [`Flow::new`] makes no such state.
    fn name(&self, state: &str) -> Option<String> {
        let is_state = state.len() == 22 && is_base64url(state);
        let start = state.get(..NAMED).filter(|_| is_state)?;
        Some(format!("{}{start}", self.prefix()))
    }

    fn set(&self, name: &str, value: &str, life: Duration) -> Option<HeaderValue> {
        let seconds = i64::try_from(life.as_secs()).ok()?;
        let cookie = CookieBuilder::new(name, value)
            .max_age(::cookie::time::Duration::seconds(seconds))
            .path("/")
            .http_only(true)
            // The provider's redirect is a top-level navigation from another site.
            .same_site(SameSite::Lax)
            .secure(self.secure)
            .build();
        HeaderValue::try_from(cookie.to_string()).ok()
    }
}

fn is_base64url(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

impl fmt::Debug for PendingFlow {
    /// Omits the memo and the state, which are secrets of the flow.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingFlow")
            .field("authenticator", &self.authenticator)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::super::Key;
    use super::super::Sessions;
    use super::*;
    use crate::session::Options;

    fn flows() -> Flows {
        Flows::new(KeyRing::new([Key::generate().unwrap()]).unwrap(), true)
    }

    fn pending(to: &str) -> PendingFlow {
        PendingFlow {
            flow: Flow::new("https://gateway.test/.portcullis/login/hub/callback", true).unwrap(),
            authenticator: "hub".to_owned(),
            to: to.to_owned(),
            memo: vec![0xff; 512],
        }
    }

    /// The `Cookie` fields of a browser that has received these fields.
    fn browser(fields: &[&HeaderValue]) -> HeaderMap {
        let mut kept = Vec::<(String, String)>::new();
        for field in fields {
            let cookie = ::cookie::Cookie::parse(field.to_str().unwrap().to_owned()).unwrap();
            kept.retain(|(name, _)| name != cookie.name());
            if !cookie.value().is_empty() {
                kept.push((cookie.name().to_owned(), cookie.value().to_owned()));
            }
        }
        let pairs = Vec::from_iter(kept.iter().map(|(name, value)| format!("{name}={value}")));
        HeaderMap::from_iter([(header::COOKIE, pairs.join("; ").parse().unwrap())])
    }

    #[test]
    fn a_flow_is_found_by_its_state_and_authenticator_only() {
        let flows = flows();
        let (one, other) = (pending("/a?b=c&d"), pending("/"));
        let [cookie] = flows.begin(&HeaderMap::new(), &one).unwrap().try_into().unwrap();
        let shown = cookie.to_str().unwrap();
        assert!(
            shown.starts_with(&format!("__Host-portcullis-flow-{}=", &one.flow.state[..8])),
            "{shown}"
        );
        assert!(
            shown.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=900"),
            "{shown}"
        );
        let headers = browser(&[&cookie]);
        assert_eq!(flows.find(&headers, "hub", &one.flow.state).as_ref(), Some(&one));
        for (authenticator, state) in [
            ("other", one.flow.state.as_str()),
            ("hub", &other.flow.state),
            ("hub", &format!("{}{}", &one.flow.state[..8], &other.flow.state[8..])),
            ("hub", &one.flow.state[..8]),
            ("hub", ""),
            ("hub", "aaaaaaaaaaaaaaaaaaaaa;"),
        ] {
            assert_eq!(
                flows.find(&headers, authenticator, state),
                None,
                "{authenticator} {state}"
            );
        }
        assert_eq!(
            tests::flows().find(&headers, "hub", &one.flow.state),
            None,
            "another key"
        );
        let mut twice = headers.clone();
        twice.append(header::COOKIE, headers[header::COOKIE].clone());
        assert_eq!(flows.find(&twice, "hub", &one.flow.state), None);
        let cleared = flows.clear(&one.flow.state).unwrap();
        assert!(browser(&[&cookie, &cleared])[header::COOKIE].is_empty());
        assert_eq!(flows.clear("no state"), None);
        assert!(!format!("{one:?}").contains(&one.flow.state));
    }

    /// Case 53 of `docs/security-cases.md`, and the other way round.
    #[test]
    fn what_is_kept_beside_flows_is_read_by_its_purpose_alone() {
        let flows = flows();
        let cookie = flows.set_beside("seen", "2", LIFE).unwrap();
        let name = cookie.to_str().unwrap().split('=').next().unwrap();
        assert!(Flows::own(name), "{name}");
        assert_eq!(flows.read_beside(&browser(&[&cookie]), "seen").as_deref(), Some("2"));
        assert_eq!(flows.read_beside(&browser(&[&cookie]), "other"), None);
        let doubled = format!("{name}=2; {name}=2").parse().unwrap();
        let doubled = HeaderMap::from_iter([(header::COOKIE, doubled)]);
        assert_eq!(flows.read_beside(&doubled, "seen"), None);
        assert_eq!(flows.set_beside("seen", "2\n", LIFE), None);
        for (name, is_own) in [("sid", false), (FLOW_COOKIE, true), (SECURE_FLOW_COOKIE, true)] {
            assert_eq!(Flows::own(name), is_own, "{name}");
        }
    }

    #[test]
    fn a_flow_is_never_a_session() {
        let keys = Arc::new(KeyRing::new([Key::generate().unwrap()]).unwrap());
        let flows = Flows::new(Arc::clone(&keys), true);
        let one = pending("/");
        let [cookie] = flows.begin(&HeaderMap::new(), &one).unwrap().try_into().unwrap();
        let cookie = ::cookie::Cookie::parse(cookie.to_str().unwrap().to_owned()).unwrap();
        let options = Options::new(cookie.name(), true, LIFE).unwrap();
        let sessions = Sessions::new(Arc::clone(&keys), options);
        assert_eq!(sessions.cookie_name(), cookie.name());
        assert_eq!(keys.open(cookie.name(), cookie.value().as_bytes()), None);
        let session = keys.seal(cookie.name(), b"{}").unwrap();
        assert_eq!(keys.open_for(Purpose::Flow, cookie.name(), session.as_bytes()), None);
    }

    #[test]
    fn a_browser_has_three_flows_at_most_and_the_oldest_goes() {
        let flows = flows();
        let mut fields = Vec::new();
        let mut begun = Vec::new();
        for n in 0..5 {
            let one = pending(&format!("/{n}"));
            fields.extend(flows.begin(&browser(&Vec::from_iter(&fields)), &one).unwrap());
            begun.push(one.flow.state);
            // Two that begin in the same millisecond have no order.
            let start = Time::now();
            while Time::now() == start {}
        }
        let headers = browser(&Vec::from_iter(&fields));
        let found = begun.iter().map(|state| flows.find(&headers, "hub", state).is_some());
        assert_eq!(Vec::from_iter(found), [false, false, true, true, true]);
    }

    /// Case 54 of `docs/security-cases.md`.
    #[test]
    fn cookies_that_are_no_flows_are_removed_within_bounds() {
        let flows = flows();
        let made_up = (0..200).map(|n| format!("__Host-portcullis-flow-{n:08}=x"));
        let odd = [
            "__Host-portcullis-flow-=x",
            "__Host-portcullis-flow-a b c d!=x",
            "__Host-portcullis-flow-123456789=x",
        ];
        let made_up = Vec::from_iter(odd.map(str::to_owned).into_iter().chain(made_up)).join("; ");
        let headers = HeaderMap::from_iter([(header::COOKIE, made_up.parse().unwrap())]);
        let fields = flows.begin(&headers, &pending("/")).unwrap();
        assert_eq!(fields.len(), 1 + MAX_LOOKED_AT - odd.len());
        for field in &fields[1..] {
            assert!(
                field
                    .to_str()
                    .unwrap()
                    .contains("=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0"),
                "{field:?}"
            );
        }
    }

    #[test]
    fn a_flow_ends_by_its_age() {
        let flows = flows();
        let one = pending("/");
        let [cookie] = flows.begin(&HeaderMap::new(), &one).unwrap().try_into().unwrap();
        let cookie = ::cookie::Cookie::parse(cookie.to_str().unwrap().to_owned()).unwrap();
        let now = Time::now();
        for (later, is_valid) in [(0, true), (899_000, true), (901_000, false)] {
            let opened = flows.open(cookie.name(), cookie.value().as_bytes(), Time(now.0 + later));
            assert_eq!(opened.is_some(), is_valid, "{later}");
        }
        // The clock of the replica that made it was ahead.
        for (ahead, is_valid) in [(50_000, true), (70_000, false)] {
            let opened = flows.open(cookie.name(), cookie.value().as_bytes(), Time(now.0 - ahead));
            assert_eq!(opened.is_some(), is_valid, "{ahead}");
        }
    }

    #[test]
    fn what_can_not_be_kept_is_an_error() {
        let flows = flows();
        let mut one = pending(&"/".repeat(4096));
        assert_eq!(flows.begin(&HeaderMap::new(), &one), Err(UnusableFlow::TooLarge));
        one.flow.state = "short".to_owned();
        assert_eq!(flows.begin(&HeaderMap::new(), &one), Err(UnusableFlow::State));
        assert!(flows.begin(&HeaderMap::new(), &pending(&"/".repeat(1024))).is_ok());
    }
}
