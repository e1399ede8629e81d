//! What is recorded of a request while it passes through the pipeline, for the access log and the metrics.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::request::Parts;

use crate::generation::Route;
use crate::telemetry::Trace;

/// A request's record. Each fact is recorded by the step that finds it out.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Boxed, because most gateways trace nothing.
    trace: Option<Box<Trace>>,
    route: OnceLock<Arc<Route>>,
    user: OnceLock<String>,
    authentication: AtomicU64,
    upstream: AtomicU64,
}

impl Record {
    /// The record of a request with this trace. `None` if requests are not traced.
    pub(crate) fn new(trace: Option<Trace>) -> Self {
        Self {
            trace: trace.map(Box::new),
            ..Self::default()
        }
    }

    /// The trace. `None` if requests are not traced.
    pub(crate) fn trace(&self) -> Option<&Trace> {
        self.trace.as_deref()
    }

    /// The trace of a request. `None` if it isn't traced.
    pub(super) fn trace_of(parts: &Parts) -> Option<&Trace> {
        Self::of(parts)?.trace()
    }

    /// The record of a request. `None` if nothing is recorded of it.
    pub(super) fn of(parts: &Parts) -> Option<&Arc<Self>> {
        parts.extensions.get()
    }

    /// The name of the route. `None` if no route serves the request.
    pub(crate) fn route(&self) -> Option<&str> {
        self.route.get().map(|route| route.name.as_str())
    }

    /// The path of the route. `None` if no route serves the request.
    pub(crate) fn route_path(&self) -> Option<&str> {
        self.route.get().map(|route| route.config.matcher.path.as_str())
    }

    /// The user. `None` for anonymous and for refused requests.
    pub(crate) fn user(&self) -> Option<&str> {
        self.user.get().map(String::as_str)
    }

    /// How long authentication took.
    pub(crate) fn authentication(&self) -> Duration {
        Duration::from_micros(self.authentication.load(Ordering::Relaxed))
    }

    /// How long the upstream took to begin its response.
    pub(crate) fn upstream(&self) -> Duration {
        Duration::from_micros(self.upstream.load(Ordering::Relaxed))
    }

    pub(super) fn set_route(&self, route: &Arc<Route>) {
        // A request has one route.
        let _ = self.route.set(Arc::clone(route));
    }

    pub(super) fn set_user(&self, name: &str) {
        // A request has one user.
        let _ = self.user.set(name.to_owned());
    }

    pub(super) fn set_authentication(&self, elapsed: Duration) {
        self.authentication.store(micros(elapsed), Ordering::Relaxed);
    }

    pub(super) fn set_upstream(&self, elapsed: Duration) {
        self.upstream.store(micros(elapsed), Ordering::Relaxed);
    }
}

fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}
