//! `Expect: 100-continue` (RFC 9110, section 10.1.1). The upstream decides whether a client that waits may send its
//! body.

use http::HeaderMap;
use http::Request;
use http::StatusCode;
use http::header;
use http_body::Body;

use super::body::ContinueSignal;
use super::body::RequestBody;
use super::body::closed;

/// Holds the body of a request back until the upstream asks for it. Returns the signal that releases the body before
/// that, or `None` if the client doesn't wait.
pub(super) fn follow(request: &mut Request<RequestBody>) -> Option<ContinueSignal> {
    if request.body().is_end_stream() || !is_expected(request.headers()) {
        return None;
    }
    let (gate, signal) = closed();
    request.body_mut().gate(Some(gate));
    let follower = signal.clone();
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            follower.open();
        }
    });
    Some(signal)
}

fn is_expected(headers: &HeaderMap) -> bool {
    headers
        .get(header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
