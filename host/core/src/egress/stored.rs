//! One stored answer and what may be done with it, by the rules of RFC 9111 for a shared cache, and by RFC 5861 where the
//! server fails. Stricter than those, it is never given for a request with other headers, has no lifetime that the server
//! didn't state, and is not kept at all if it sets a cookie.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Request;
use http::header;
use http_cache_semantics::BeforeRequest;
use http_cache_semantics::CacheOptions;
use http_cache_semantics::CachePolicy;

use super::answer::Answer;
use super::directives::has;
use super::directives::insists;
use super::directives::plain;
use super::directives::seconds;

/// The longest that an answer may stand in for the one of a server that fails, whatever server and plugin say.
const MAX_STALE: Duration = Duration::from_secs(3600);

/// An answer in store.
pub(super) struct Stored {
    answer: Answer,
    policy: CachePolicy,
    /// When the server last gave or confirmed it, for the rules, which need a date.
    date: SystemTime,
    /// The same, for what no clock that is set may change.
    fetched: Instant,
    fresh_for: Duration,
    /// When the server was last asked for it and failed.
    failed: Mutex<Option<Instant>>,
}

/// What a stored answer is to a request.
pub(super) enum Use {
    /// It satisfies it.
    Fresh(Answer),
    /// The server failed a moment ago, and this may stand in.
    Stale(Answer),
    /// The server must be asked, with these headers if there are any.
    Validate(HeaderMap),
}

impl Stored {
    /// An answer that may be stored and is worth it.
    pub(super) fn new<B>(request: &Request<B>, answer: Answer) -> Option<Self> {
        let date = SystemTime::now();
        let (asked, mut answered) = (plain_request(request), http::Response::new(()));
        *answered.status_mut() = answer.status;
        *answered.headers_mut() = plain(&answer.headers);
        let policy = CachePolicy::new_options(&asked, &answered, date, OPTIONS);
        let fresh_for = policy.time_to_live(date);
        let useful = !fresh_for.is_zero()
            || answer.headers.contains_key(header::ETAG)
            || answer.headers.contains_key(header::LAST_MODIFIED)
            || has(&answer.headers, "stale-if-error")
            || has(request.headers(), "stale-if-error");
        let storable = useful && policy.is_storable() && !answer.headers.contains_key(header::SET_COOKIE);
        storable.then(|| Self {
            answer,
            policy,
            date,
            fetched: Instant::now(),
            fresh_for,
            failed: Mutex::default(),
        })
    }

    /// What this is to a request with the same URI and headers. A wish for a newer answer counts for nothing before this
    /// one is as old as the floor.
    pub(super) fn satisfies<B>(&self, request: &Request<B>, floor: Duration) -> Use {
        let mut asked = plain_request(request);
        if self.fetched.elapsed() < floor {
            asked.headers_mut().remove(header::CACHE_CONTROL);
            asked.headers_mut().remove(header::PRAGMA);
        }
        let validators = match self.policy.before_request(&asked, SystemTime::now()) {
            BeforeRequest::Fresh(_) => return Use::Fresh(self.aged()),
            BeforeRequest::Stale { request, matches: true } => validators(&request.headers),
            BeforeRequest::Stale { matches: false, .. } => HeaderMap::new(),
        };
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match failed
            .filter(|failed| failed.elapsed() < floor)
            .and_then(|_| self.stale(request))
        {
            Some(answer) => Use::Stale(answer),
            None => Use::Validate(validators),
        }
    }

    /// The answer in place of one that the server failed to give, where that is allowed.
    pub(super) fn instead<B>(&self, request: &Request<B>) -> Option<Answer> {
        let answer = self.stale(request)?;
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Some(answer)
    }

    /// The answer with the headers of a 304 that confirms it (RFC 9111, section 4.3.4); none when that is about another.
    pub(super) fn confirmed(&self, confirmation: &HeaderMap) -> Option<Answer> {
        let [ours, theirs] = [&self.answer.headers, confirmation].map(|headers| headers.get(header::ETAG).map(opaque));
        if theirs.is_some() && theirs != ours {
            return None;
        }
        let mut answer = self.answer.clone();
        for name in confirmation.keys().filter(|name| !OF_THE_BODY.contains(name)) {
            answer.headers.remove(name);
            for value in confirmation.get_all(name) {
                answer.headers.append(name, value.clone());
            }
        }
        if !confirmation.contains_key(header::AGE) {
            answer.headers.remove(header::AGE);
        }
        Some(answer)
    }

    /// What it takes up, in bytes.
    pub(super) fn size(&self) -> usize {
        let fields = self.answer.headers.iter();
        // The policy has a copy of these headers, and those of the request.
        let head: usize = fields
            .map(|(name, value)| 2 * (name.as_str().len() + value.len() + 64))
            .sum();
        self.answer.body.len() + head + 4096
    }

    /// RFC 5861, section 4, within what RFC 9111, section 4.2.4, allows.
    fn stale<B>(&self, request: &Request<B>) -> Option<Answer> {
        let (asked, answered) = (request.headers(), &self.answer.headers);
        if STRICT.iter().any(|directive| has(answered, directive)) {
            return None;
        }
        let offered = seconds(answered, "stale-if-error").filter(|_| !insists(asked));
        let window = offered.max(seconds(asked, "stale-if-error"))?.min(MAX_STALE);
        let age = SystemTime::now().duration_since(self.date).unwrap_or_default();
        (age.saturating_sub(self.fresh_for) <= window).then(|| self.aged())
    }

    fn aged(&self) -> Answer {
        let mut answer = self.answer.clone();
        let age = self.policy.age(SystemTime::now()).as_secs();
        answer.headers.insert(header::AGE, HeaderValue::from(age));
        answer
    }
}

const OPTIONS: CacheOptions = CacheOptions {
    shared: true,
    cache_heuristic: 0.0,
    immutable_min_time_to_live: Duration::ZERO,
    ignore_cargo_cult: false,
};

/// Directives of a response that forbid its use once it is stale.
const STRICT: [&str; 5] = [
    "must-revalidate",
    "no-cache",
    "no-store",
    "proxy-revalidate",
    "s-maxage",
];

/// What a 304 says of the body that it doesn't have.
const OF_THE_BODY: [HeaderName; 4] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::TRANSFER_ENCODING,
];

/// An entity tag without the mark of a weak one.
fn opaque(tag: &HeaderValue) -> &[u8] {
    let tag = tag.as_bytes();
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

fn plain_request<B>(request: &Request<B>) -> Request<()> {
    let mut plain_request = Request::new(());
    *plain_request.method_mut() = request.method().clone();
    *plain_request.uri_mut() = request.uri().clone();
    *plain_request.headers_mut() = plain(request.headers());
    plain_request
}

fn validators(headers: &HeaderMap) -> HeaderMap {
    [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE]
        .into_iter()
        .filter_map(|name| headers.get(&name).cloned().map(|value| (name, value)))
        .collect()
}

#[cfg(test)]
mod tests;
