//! The fake gateway. It belongs to the thread that started it, so that tests can run in parallel, and it ends when it
//! is dropped.

use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use super::clock::Clock;
use crate::Response;
use crate::crypto::Algorithm;
use crate::http::HttpError;
use crate::http::HttpRequest;
use crate::log::Level;
use crate::negotiate::Accepted;
use crate::negotiate::Failure;
use crate::url::Url;

/// A fake gateway for the plugins on this thread, until it is dropped.
#[derive(Debug)]
pub struct FakeHost {
    /// Keeps the value on its thread: dropped on another one, it would end that thread's fake gateway.
    this_thread: PhantomData<Rc<()>>,
}

impl FakeHost {
    /// Starts a gateway with an empty cache, no servers and the real clock. It replaces the previous one of this
    /// thread.
    pub fn start() -> Self {
        STATE.set(Some(HostState::default()));
        Self {
            this_thread: PhantomData,
        }
    }

    /// Answers requests for exactly this URL. The latest answer for a URL counts.
    pub fn answer(&self, url: impl Into<String>, answer: impl Into<Answer>) {
        let (url, answer) = (normalized(&url.into()), answer.into().0);
        self.add_server(move |request| (request.url == url).then(|| answer.clone()));
    }

    /// Answers every request that has no later answer.
    pub fn serve(&self, server: impl Fn(&SentRequest) -> Result<Response, HttpError> + 'static) {
        self.add_server(move |request| Some(server(request)));
    }

    /// Answers every request for exactly this URL, whatever its method and body are.
    pub fn serve_at(
        &self,
        url: impl Into<String>,
        server: impl Fn(&SentRequest) -> Result<Response, HttpError> + 'static,
    ) {
        let url = normalized(&url.into());
        self.add_server(move |request| (request.url == url).then(|| server(request)));
    }

    /// The requests sent to other servers, in order, including those without an answer.
    pub fn requests(&self) -> Vec<SentRequest> {
        with(|state| state.requests.clone()).unwrap_or_default()
    }

    /// Grants an acceptor of this name and sets how it verifies tokens. The latest one of a name counts.
    pub fn negotiate(
        &self,
        acceptor: impl Into<String>,
        accept: impl Fn(&[u8]) -> Result<Accepted, Failure> + 'static,
    ) {
        with(|state| state.acceptors.insert(acceptor.into(), Rc::new(accept)));
    }

    /// Grants a key of this name and sets how it signs. The latest one of a name counts.
    pub fn signing_key(
        &self,
        name: impl Into<String>,
        sign: impl Fn(Algorithm, &[u8]) -> Result<Vec<u8>, String> + 'static,
    ) {
        with(|state| state.signing_keys.insert(name.into(), Rc::new(sign)));
    }

    /// Sets the clock, in seconds since 1970-01-01 UTC, and stops it there.
    pub fn set_unix_seconds(&self, seconds: u64) {
        with(|state| state.clock.set(Duration::from_secs(seconds)));
    }

    /// Moves the clock forward and stops it there. Cache entries expire accordingly.
    pub fn advance(&self, by: Duration) {
        with(|state| state.clock.advance(by));
    }

    /// The lines logged so far.
    pub fn log(&self) -> Vec<(Level, String)> {
        with(|state| state.log.clone()).unwrap_or_default()
    }

    /// The keys in the cache that have not expired, with the seconds that each has left, sorted by key.
    pub fn cache_entries(&self) -> Vec<(String, u64)> {
        with(|state| state.entries()).unwrap_or_default()
    }

    /// Answers the requests that the server has an answer for.
    pub(super) fn add_server(&self, server: impl Fn(&SentRequest) -> Option<Result<Response, HttpError>> + 'static) {
        with(|state| state.servers.push(Rc::new(server)));
    }
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        STATE.set(None);
    }
}

/// What a server answers: a [`Response`] or an [`HttpError`].
#[derive(Clone, Debug)]
pub struct Answer(Result<Response, HttpError>);

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self(Ok(response))
    }
}

impl From<HttpError> for Answer {
    fn from(error: HttpError) -> Self {
        Self(Err(error))
    }
}

/// A request that an authenticator sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SentRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// The URL of the request.
    pub url: String,
    /// The headers as names and values, as given.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// The time limit of the exchange.
    pub timeout: Duration,
}

impl SentRequest {
    /// The first value of a header as text. The name is case-insensitive.
    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        value.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}

type Acceptor = Rc<dyn Fn(&[u8]) -> Result<Accepted, Failure>>;

type SigningKey = Rc<dyn Fn(Algorithm, &[u8]) -> Result<Vec<u8>, String>>;

type Server = Rc<dyn Fn(&SentRequest) -> Option<Result<Response, HttpError>>>;

/// The state of the fake gateway.
#[derive(Default)]
pub(super) struct HostState {
    acceptors: HashMap<String, Acceptor>,
    cache: HashMap<String, (Vec<u8>, Duration)>,
    clock: Clock,
    log: Vec<(Level, String)>,
    requests: Vec<SentRequest>,
    servers: Vec<Server>,
    signing_keys: HashMap<String, SigningKey>,
}

impl HostState {
    pub(super) fn cached(&self, key: &str) -> Option<Vec<u8>> {
        self.cache
            .get(key)
            .filter(|(_, end)| *end > self.since_epoch())
            .map(|(value, _)| value.clone())
    }

    pub(super) fn store(&mut self, key: &str, value: &[u8], ttl_seconds: u32) -> bool {
        if key.len() > 256 || value.len() > 1024 * 1024 {
            return false;
        }
        let end = self.since_epoch() + Duration::from_secs(ttl_seconds.into());
        self.cache.insert(key.to_owned(), (value.to_owned(), end));
        true
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.cache.remove(key);
    }

    pub(super) fn since_epoch(&self) -> Duration {
        self.clock.since_epoch()
    }

    pub(super) fn record(&mut self, level: Level, message: &str) {
        self.log.push((level, message.to_owned()));
    }

    fn entries(&self) -> Vec<(String, u64)> {
        let now = self.since_epoch();
        let left = |end: Duration| end.checked_sub(now).filter(|left| !left.is_zero());
        let mut entries: Vec<_> = self
            .cache
            .iter()
            .filter_map(|(key, (_, end))| Some((key.clone(), left(*end)?.as_secs())))
            .collect();
        entries.sort();
        entries
    }
}

thread_local! {
    static STATE: RefCell<Option<HostState>> = const { RefCell::new(None) };
}

/// Runs `f` on the state of this thread's fake gateway. Returns `None` if there is none.
pub(super) fn with<T>(f: impl FnOnce(&mut HostState) -> T) -> Option<T> {
    STATE.with_borrow_mut(|state| state.as_mut().map(f))
}

/// The URL in the form in which it is sent, so that `http://h` equals `http://h/`.
fn normalized(url: &str) -> String {
    Url::parse(url).map_or_else(|| url.to_owned(), |url| url.to_string())
}

/// Verifies a token with a fake acceptor. The acceptor runs while the state is not borrowed, as servers do.
pub(super) fn negotiate(acceptor: &str, token: &[u8]) -> Result<Accepted, Failure> {
    let accept = with(|state| state.acceptors.get(acceptor).map(Rc::clone)).flatten();
    accept.map_or(Err(Failure::Denied), |accept| accept(token))
}

/// Signs with a fake key. It runs while the state is not borrowed, as servers do.
pub(super) fn sign(key: &str, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, String> {
    let sign = with(|state| state.signing_keys.get(key).map(Rc::clone)).flatten();
    let denied = || Err("no key of this name is granted (grants.signing)".to_owned());
    sign.map_or_else(denied, |sign| sign(algorithm, message))
}

/// Sends a request to the fake servers. They run while the state is not borrowed, so that they can use the SDK
/// themselves.
pub(super) fn send(request: &HttpRequest, url: &Url) -> Result<Response, HttpError> {
    let sent = SentRequest {
        method: request.method.name().to_owned(),
        url: url.to_string(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        timeout: request.timeout,
    };
    let servers = with(|state| {
        state.requests.push(sent.clone());
        state.servers.clone()
    });
    let answer = servers
        .unwrap_or_default()
        .iter()
        .rev()
        .find_map(|server| server(&sent))
        .unwrap_or(Err(HttpError::Denied))?;
    if answer.body.len() > request.max_body {
        Err(HttpError::TooLarge(request.max_body as u64))
    } else {
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache;
    use crate::http;
    use crate::log;
    use crate::signing;
    use crate::time;

    #[test]
    fn cache_entries_expire_by_the_clock() {
        let host = FakeHost::start();
        host.set_unix_seconds(1000);
        cache::set("k", b"v", Duration::from_secs(10));
        assert!(!cache::add("k", b"w", Duration::from_secs(10)));
        assert_eq!(host.cache_entries(), [("k".to_owned(), 10)]);
        host.advance(Duration::from_secs(9));
        assert_eq!(cache::get("k"), Some(b"v".to_vec()));
        host.advance(Duration::from_secs(1));
        assert_eq!(cache::get("k"), None);
        assert!(cache::add("k", b"w", Duration::from_secs(10)));
        cache::delete("k");
        assert_eq!(cache::get("k"), None);
        assert_eq!(time::unix_seconds(), 1010);
    }

    #[test]
    fn only_keys_that_are_granted_sign() {
        let host = FakeHost::start();
        assert!(signing::sign("client", Algorithm::Es256, b"m").is_err());
        host.signing_key("client", |algorithm, message| {
            Ok(format!("{algorithm} {}", message.len()).into_bytes())
        });
        let signed = signing::sign("client", Algorithm::Es256, b"message");
        assert_eq!(signed.as_deref(), Ok(&b"ES256 7"[..]));
        assert!(signing::sign("other", Algorithm::Es256, b"m").is_err());
    }

    #[test]
    fn oversized_cache_entries_are_not_stored() {
        let _host = FakeHost::start();
        cache::set(&"k".repeat(257), b"v", Duration::from_secs(10));
        assert_eq!(cache::get(&"k".repeat(257)), None);
        assert!(!cache::add("k", &vec![0; 1024 * 1024 + 1], Duration::from_secs(10)));
    }

    #[test]
    fn the_latest_answer_for_a_url_counts_and_every_request_is_recorded() {
        let host = FakeHost::start();
        assert_eq!(http::get("http://a/").send(), Err(HttpError::Denied));
        host.serve(|request| Ok(Response::new(200).with_body(request.url.clone())));
        host.answer("http://a/", HttpError::TimedOut);
        assert_eq!(http::get("http://a/").send(), Err(HttpError::TimedOut));
        assert_eq!(
            http::get("http://b/")
                .max_body(9)
                .header("X-A", "1")
                .send()
                .unwrap()
                .body,
            b"http://b/"
        );
        assert_eq!(http::get("http://b/").max_body(8).send(), Err(HttpError::TooLarge(8)));
        assert_eq!(host.requests().len(), 4);
        assert_eq!(host.requests()[2].header("x-a"), Some("1".to_owned()));
    }

    #[test]
    fn a_fake_gateway_ends_when_it_is_dropped() {
        let host = FakeHost::start();
        cache::set("k", b"v", Duration::from_secs(10));
        log::warn("careful");
        assert_eq!(host.log(), [(Level::Warn, "careful".to_owned())]);
        drop(host);
        assert_eq!(cache::get("k"), None);
        assert!(!cache::add("k", b"v", Duration::from_secs(10)));
    }
}
