//! The metrics of a login. They go to the recorder that the process has installed with the crate `metrics`.

use metrics::counter;
use metrics::describe_counter;
use metrics::describe_histogram;
use metrics::histogram;

use super::LoginCall;
use super::LoginError;

/// The metrics of one login. Calls are rare, so that each looks its counter up.
pub(super) struct LoginMeters(String);

impl LoginMeters {
    pub(super) fn new(name: &str) -> Self {
        describe_counter!(
            "portcullis_login_calls_total",
            "Calls of the functions by which people log in with a browser"
        );
        describe_histogram!("portcullis_login_call_seconds", "The duration of such calls");
        Self(name.to_owned())
    }

    /// Counts a call of a function.
    pub(super) fn record<T>(&self, function: &'static str, call: &LoginCall<T>) {
        let result = call.result.as_ref().err().map_or("answer", LoginError::label);
        let name = || self.0.clone();
        counter!("portcullis_login_calls_total", "authenticator" => name(), "function" => function, "result" => result)
            .increment(1);
        histogram!("portcullis_login_call_seconds", "authenticator" => name(), "function" => function)
            .record(call.elapsed.as_secs_f64());
    }
}
