//! Sends a request by the gateway's `outbound`. One deadline covers all exchanges of a request, redirects included.

use std::time::Duration;

use super::bindings::portcullis::auth::outbound;
use super::bindings::portcullis::auth::outbound::Failure;
use super::bindings::wasi::clocks::monotonic_clock;
use crate::Response;
use crate::http::HttpError;
use crate::http::HttpRequest;
use crate::url::Url;

pub(crate) fn send(request: &HttpRequest, url: &Url, deadline: &Deadline) -> Result<Response, HttpError> {
    let answer = outbound::fetch(&outbound::Request {
        method: request.method.name().to_owned(),
        url: url.to_string(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        timeout_ms: Some(deadline.left()?),
        max_body: Some(u32::try_from(request.max_body).unwrap_or(u32::MAX)),
    })?;
    Ok(Response {
        status: answer.status,
        headers: answer.headers,
        body: answer.body,
    })
}

/// The deadline of all exchanges of a request, on the monotonic clock, in nanoseconds.
pub(crate) struct Deadline(u64);

impl Deadline {
    pub(crate) fn after(timeout: Duration) -> Self {
        let timeout = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        Self(monotonic_clock::now().saturating_add(timeout))
    }

    /// The milliseconds that are left.
    fn left(&self) -> Result<u32, HttpError> {
        match self.0.saturating_sub(monotonic_clock::now()).div_ceil(1_000_000) {
            0 => Err(HttpError::TimedOut),
            left => Ok(u32::try_from(left).unwrap_or(u32::MAX)),
        }
    }
}

impl From<Failure> for HttpError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Denied => Self::Denied,
            Failure::Invalid(why) => Self::Invalid(why),
            Failure::Limited => Self::Limited,
            Failure::Timeout => Self::TimedOut,
            Failure::TooLarge(most) => Self::TooLarge(most.into()),
            Failure::Unreachable(why) => Self::Unreachable(why),
            Failure::Unusable(why) => Self::Unusable(why),
        }
    }
}
