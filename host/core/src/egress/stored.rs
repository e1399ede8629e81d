//! A stored response and its use, by the rules of RFC 9111 for a shared cache and of RFC 5861 if the server fails. In
//! addition, it is not used for requests with other headers, has no heuristic lifetime, and is not stored if it sets a
//! cookie.

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

use super::buffered::BufferedResponse;
use super::directives::has;
use super::directives::insists;
use super::directives::plain;
use super::directives::seconds;

/// The longest time for which a stale response is used while the server fails, whatever server and plugin allow.
const MAX_STALE: Duration = Duration::from_secs(3600);

/// A stored response.
pub(super) struct Stored {
    answer: BufferedResponse,
    policy: CachePolicy,
    /// When the server last sent or confirmed it, as a date for the caching rules.
    date: SystemTime,
    /// The same time on the monotonic clock.
    fetched: Instant,
    fresh_for: Duration,
    /// When the last exchange for it failed.
    failed: Mutex<Option<Instant>>,
}

/// How a stored response can be used for a request.
pub(super) enum Freshness {
    /// It is fresh.
    Fresh(BufferedResponse),
    /// It is stale, but the server failed recently, and it may be used instead.
    Stale(BufferedResponse),
    /// A request must be sent, with these conditional headers if there are any.
    Validate(HeaderMap),
}

impl Stored {
    /// A response that may be stored. Returns `None` if it may not be stored or could never be used.
    pub(super) fn new<B>(request: &Request<B>, answer: BufferedResponse) -> Option<Self> {
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

    /// How this can be used for a request with the same URI and headers. The request's directives for a newer response
    /// are ignored until this response is as old as `floor`.
    pub(super) fn satisfies<B>(&self, request: &Request<B>, floor: Duration) -> Freshness {
        let mut asked = plain_request(request);
        if self.fetched.elapsed() < floor {
            asked.headers_mut().remove(header::CACHE_CONTROL);
            asked.headers_mut().remove(header::PRAGMA);
        }
        let validators = match self.policy.before_request(&asked, SystemTime::now()) {
            BeforeRequest::Fresh(_) => return Freshness::Fresh(self.aged()),
            BeforeRequest::Stale { request, matches: true } => validators(&request.headers),
            BeforeRequest::Stale { matches: false, .. } => HeaderMap::new(),
        };
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match failed
            .filter(|failed| failed.elapsed() < floor)
            .and_then(|_| self.stale(request))
        {
            Some(answer) => Freshness::Stale(answer),
            None => Freshness::Validate(validators),
        }
    }

    /// The response to use after the server has failed. Returns `None` if that is not allowed.
    pub(super) fn instead<B>(&self, request: &Request<B>) -> Option<BufferedResponse> {
        let answer = self.stale(request)?;
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Some(answer)
    }

    /// The response with the headers of a 304 that confirms it (RFC 9111, section 4.3.4). Returns `None` if the 304 is
    /// about another response.
    pub(super) fn confirmed(&self, confirmation: &HeaderMap) -> Option<BufferedResponse> {
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

    /// Its size in memory, in bytes.
    pub(super) fn size(&self) -> usize {
        let fields = self.answer.headers.iter();
        // The policy has a copy of these headers and those of the request.
        let head: usize = fields
            .map(|(name, value)| 2 * (name.as_str().len() + value.len() + 64))
            .sum();
        self.answer.body.len() + head + 4096
    }

    /// The response if it may be used although it is stale (RFC 5861, section 4; RFC 9111, section 4.2.4).
    fn stale<B>(&self, request: &Request<B>) -> Option<BufferedResponse> {
        let (asked, answered) = (request.headers(), &self.answer.headers);
        if STRICT.iter().any(|directive| has(answered, directive)) {
            return None;
        }
        let offered = seconds(answered, "stale-if-error").filter(|_| !insists(asked));
        let window = offered.max(seconds(asked, "stale-if-error"))?.min(MAX_STALE);
        let age = SystemTime::now().duration_since(self.date).unwrap_or_default();
        (age.saturating_sub(self.fresh_for) <= window).then(|| self.aged())
    }

    fn aged(&self) -> BufferedResponse {
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

/// The directives of a response that forbid its use once it is stale.
const STRICT: [&str; 5] = [
    "must-revalidate",
    "no-cache",
    "no-store",
    "proxy-revalidate",
    "s-maxage",
];

/// The headers of a 304 that describe its own missing body.
const OF_THE_BODY: [HeaderName; 4] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::TRANSFER_ENCODING,
];

/// An entity tag without the prefix of weak tags.
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
