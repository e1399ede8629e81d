//! The lines of the audit log about logins. None has a code, a state or an answer of the provider.

use std::time::Duration;

use http::StatusCode;
use portcullis::LoginError;
use portcullis_wire::request_id::RequestId;

use super::visit::Visit;
use crate::one_line::one_line;

/// What happened with a login.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    /// The name of the login.
    pub(super) login: &'a str,
    /// `begin`, `finish`, `end` or `notice`.
    pub(super) step: &'static str,
    /// A word for the log field.
    pub(super) outcome: &'static str,
    /// The status of the response.
    pub(super) status: StatusCode,
    /// Who has logged in or out. `None` if that isn't known.
    pub(super) user: Option<&'a str>,
    /// The reason, for the operator.
    pub(super) why: Option<&'a str>,
    /// How long the plugin took. `None` if it wasn't asked.
    pub(super) elapsed: Option<Duration>,
}

impl Entry<'_> {
    /// Writes the line.
    pub(super) fn write(&self, visit: &Visit<'_>) {
        tracing::info!(
            target: "portcullis::audit",
            request_id = visit.id.map(RequestId::as_str),
            client = %visit.client.shown_address(),
            login = self.login,
            step = self.step,
            outcome = self.outcome,
            status = self.status.as_u16(),
            user = self.user.map(one_line).as_deref(),
            why = self.why.map(one_line).as_deref(),
            duration_us = self.elapsed.map(|elapsed| u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)),
            "login"
        );
    }
}

/// Warns of a login that can't work now, whoever asks: its provider is down, its settings are wrong, or it fails.
pub(super) fn warn_of_failure(visit: &Visit<'_>, login: &str, step: &'static str, error: &LoginError) {
    if matches!(error, LoginError::Unavailable(_) | LoginError::Failed(_)) {
        tracing::warn!(
            target: "portcullis::audit",
            request_id = visit.id.map(RequestId::as_str),
            login,
            step,
            why = &*one_line(&error.to_string()),
            "a login could not answer"
        );
    }
}
