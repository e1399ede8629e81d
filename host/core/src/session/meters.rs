//! The metrics of sessions: those that begin, and cookies that aren't accepted. They go to the recorder that the process has
//! installed with the crate `metrics`.

use metrics::counter;
use metrics::describe_counter;

use super::SessionError;

/// Counts a session that begins.
pub(super) fn begun(authenticator: &str) {
    describe_counter!(
        "portcullis_sessions_started_total",
        "Sessions that began, by the authenticator that knows the user"
    );
    counter!("portcullis_sessions_started_total", "authenticator" => authenticator.to_owned()).increment(1);
}

/// Counts a request whose session cookie isn't accepted.
pub(crate) fn refused(why: SessionError) {
    describe_counter!(
        "portcullis_session_cookies_refused_total",
        "Requests whose session cookie was not accepted, by the reason"
    );
    counter!("portcullis_session_cookies_refused_total", "reason" => why.label()).increment(1);
}
