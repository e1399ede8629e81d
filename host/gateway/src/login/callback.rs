//! The callback: the provider has sent the browser back. The attempt must be one of this browser, this login and this origin before
//! anything that the provider says is passed on.

use bytes::Bytes;
use http::Response;
use http::StatusCode;
use http::header;
use portcullis::LoginError;
use portcullis::session::PendingFlow;

use super::audit;
use super::audit::Entry;
use super::entry::start;
use super::exchange::Exchanges;
use super::exchange::Finished;
use super::exchange::LoggedIn;
use super::exchange::Unfinished;
use super::guard;
use super::outcome;
use super::page::redirect;
use super::parameters;
use super::return_to::ReturnTo;
use super::visit::Visit;
use super::visit::page_of;
use super::visit::redirect_uri;
use crate::generation::LoginPoint;
use crate::generation::Logins;

/// Ends an attempt.
pub(super) async fn finish(
    visit: &Visit<'_>,
    logins: &Logins,
    point: &LoginPoint,
    exchanges: &Exchanges,
) -> Option<Response<Bytes>> {
    let (pending, parameters) = match attempt(visit, logins, point) {
        Ok(attempt) => attempt,
        Err(why) => return not_begun_here(visit, logins, point, &why),
    };
    // It was checked when it was sealed, by a program that may have been older.
    let to = ReturnTo::parse(&pending.to);
    let state = pending.flow.state.clone();
    let (Some(login), Some(sessions)) = (&point.login, visit.generation.sessions()) else {
        return Some(outcome::unavailable(visit, logins, point, &to));
    };
    let silent = pending.flow.silent;
    let renewed = visit.session().map(|(_, session)| session).filter(|_| silent);
    let id = renewed.as_ref().map(|session| *session.id());
    let asked = exchanges.finish(login, sessions, visit.auth_request(), pending, parameters, renewed);
    let (finished, is_first) = asked.await;
    if let Some(id) = &id {
        exchanges.silent.end(id, &state);
    }
    let mut response = response(visit, logins, point, &to, silent, &finished)?;
    response
        .headers_mut()
        .extend(logins.flows().clear(&state).map(|cookie| (header::SET_COOKIE, cookie)));
    tell(visit, point, &finished, response.status(), is_first);
    Some(response)
}

/// The attempt that the callback belongs to, and the parameters without its state. The error says why there is none.
fn attempt(
    visit: &Visit<'_>,
    logins: &Logins,
    point: &LoginPoint,
) -> Result<(PendingFlow, Vec<(String, String)>), NoAttempt> {
    let parameters = parameters::each_once(visit.query.unwrap_or_default()).map_err(NoAttempt::Malformed)?;
    let state = parameters.iter().find(|(name, _)| name == "state");
    let (_, state) = state.ok_or(NoAttempt::Malformed("it has no state"))?;
    let origin = visit.origin(logins).ok_or(NoAttempt::OtherOrigin)?;
    let pending = logins.flows().find(visit.headers, &point.name, state);
    let pending = pending.ok_or(NoAttempt::Unknown(
        "the browser has begun no such attempt, or it is over",
    ))?;
    if pending.flow.redirect_uri != redirect_uri(origin, point) {
        return Err(NoAttempt::Unknown("the attempt was begun at another origin"));
    }
    let parameters = Vec::from_iter(parameters.into_iter().filter(|(name, _)| name != "state"));
    match parameters.iter().any(|(name, value)| is_answer(name, value)) {
        true => Ok((pending, parameters)),
        false => Err(NoAttempt::Malformed(
            "it has no answer of the provider, such as a code or an error",
        )),
    }
}

/// Whether a parameter is part of what a provider answers. `iss` only says which one it is (RFC 9207).
fn is_answer(name: &str, value: &str) -> bool {
    name != "iss" && !value.is_empty()
}

/// Why a callback belongs to no attempt.
#[derive(Clone, Copy, Debug)]
enum NoAttempt {
    /// No provider answers like this.
    Malformed(&'static str),
    /// People don't log in at this origin.
    OtherOrigin,
    /// The attempt isn't one of this browser, or it is over.
    Unknown(&'static str),
}

/// The response to a callback that belongs to no attempt. It is never a new redirect to the provider, which could go on for ever.
/// A user who has logged in meanwhile, in another tab or by a callback that comes again, goes on.
fn not_begun_here(visit: &Visit<'_>, logins: &Logins, point: &LoginPoint, why: &NoAttempt) -> Option<Response<Bytes>> {
    let session = visit.session();
    let (outcome, why, response) = match why {
        NoAttempt::Unknown(why) if session.is_some() => ("late", *why, redirect(StatusCode::SEE_OTHER, "/")?),
        NoAttempt::Unknown(why) => ("refused", *why, outcome::expired(visit, logins, point)),
        NoAttempt::Malformed(why) => ("refused", *why, outcome::malformed(visit, logins, point)),
        NoAttempt::OtherOrigin => (
            "refused",
            "the origin isn't in login.origins",
            outcome::other_origin(visit, logins),
        ),
    };
    let entry = Entry {
        login: &point.name,
        step: "finish",
        outcome,
        status: response.status(),
        user: session.as_ref().map(|(_, session)| session.identity().name()),
        why: Some(why),
        elapsed: None,
    };
    entry.write(visit);
    Some(response)
}

fn response(
    visit: &Visit<'_>,
    logins: &Logins,
    point: &LoginPoint,
    to: &ReturnTo,
    silent: bool,
    finished: &Finished,
) -> Option<Response<Bytes>> {
    match &finished.result {
        Ok(LoggedIn { headers, goes_on, .. }) => {
            // A session that was planted in the browser, or that another tab may bring back, doesn't outlive the login
            // (CVE-2021-41247).
            if let Some((sessions, old)) = visit.session().filter(|_| !goes_on)
                && let Some(list) = sessions.revocations()
            {
                list.revoke(&old);
            }
            let origin = visit.origin(logins)?;
            let mut response = redirect(StatusCode::SEE_OTHER, &format!("{origin}{to}"))?;
            headers.clone().apply(response.headers_mut());
            // A session that the browser renews by itself is no circle, if it was good for something in between.
            let was_used = visit.session().is_some_and(|(_, session)| !session.is_unused());
            let counted = match silent && was_used {
                true => None,
                false => guard::one_more(logins.flows(), visit.headers, to),
            };
            response
                .headers_mut()
                .extend(counted.map(|cookie| (header::SET_COOKIE, cookie)));
            Some(response)
        }
        // The provider wants to ask the user something.
        Err(Unfinished::Login(LoginError::NotMine)) if silent => redirect(
            StatusCode::SEE_OTHER,
            &start(None, &page_of(&point.name, ""), to, false),
        ),
        Err(Unfinished::Login(error)) => Some(outcome::of_error(visit, logins, point, to, error)),
        Err(Unfinished::Session(why)) => Some(outcome::too_large(visit, logins, point, why)),
    }
}

fn tell(visit: &Visit<'_>, point: &LoginPoint, finished: &Finished, status: StatusCode, is_first: bool) {
    let (outcome, user, why) = match &finished.result {
        Ok(LoggedIn {
            user, goes_on: true, ..
        }) => ("renewed", Some(user.as_str()), None),
        Ok(LoggedIn { user, .. }) => ("logged_in", Some(user.as_str()), None),
        Err(Unfinished::Login(error)) => {
            if is_first {
                audit::warn_of_failure(visit, &point.name, "finish", error);
            }
            (error.label(), None, Some(error.to_string()))
        }
        Err(Unfinished::Session(why)) => ("no_session", None, Some(why.to_string())),
    };
    let entry = Entry {
        login: &point.name,
        step: "finish",
        outcome: if is_first { outcome } else { "repeated" },
        status,
        user,
        why: why.as_deref(),
        elapsed: is_first.then_some(finished.elapsed),
    };
    entry.write(visit);
}
