//! The pages that end an attempt without a session. Each says what has happened and what one can do; why, is in the log.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;
use portcullis::LoginError;
use portcullis::session::NoSession;
use serde_json::json;

use super::entry::start;
use super::page::Page;
use super::return_to::ReturnTo;
use super::visit::PREFIX;
use super::visit::Visit;
use super::visit::page_of;
use crate::answers::response;
use crate::config::PageName;
use crate::generation::LoginPoint;
use crate::generation::Logins;

/// The page for a login that gave no answer, or said no.
pub(super) fn of_error(
    visit: &Visit<'_>,
    logins: &Logins,
    point: &LoginPoint,
    to: &ReturnTo,
    error: &LoginError,
) -> Response<Bytes> {
    match error {
        LoginError::NotMine | LoginError::Unauthenticated(_) => failed(visit, logins, point, to),
        LoginError::Forbidden(_) => forbidden(visit, logins, point),
        LoginError::Unavailable(_) | LoginError::Failed(_) => unavailable(visit, logins, point, to),
        LoginError::TurnedAway {
            retry_after, by_rate, ..
        } => {
            let mut response = unavailable(visit, logins, point, to);
            if *by_rate {
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            }
            let seconds = retry_after.as_millis().div_ceil(1000).max(1);
            let seconds = HeaderValue::try_from(seconds.to_string());
            response
                .headers_mut()
                .extend(seconds.ok().map(|seconds| (header::RETRY_AFTER, seconds)));
            response
        }
    }
}

/// 401: nobody has logged in.
fn failed(visit: &Visit<'_>, logins: &Logins, point: &LoginPoint, to: &ReturnTo) -> Response<Bytes> {
    let page = Page::new(
        PageName::Failed,
        StatusCode::UNAUTHORIZED,
        "You are not logged in",
        format!("{} didn't log you in.", point.title),
    );
    shown(visit, logins, again(page, logins, point, to))
}

/// 403. It is never a redirect: the provider would log the same user in again.
fn forbidden(visit: &Visit<'_>, logins: &Logins, point: &LoginPoint) -> Response<Bytes> {
    let page = Page::new(
        PageName::Forbidden,
        StatusCode::FORBIDDEN,
        "You may not come in here",
        format!(
            "{} knows you, but your account isn't let in here. If it should be, ask whoever runs this service.",
            point.title
        ),
    );
    let leave = format!("/.portcullis/logout?login={}", point.name);
    shown(visit, logins, page.button(&leave, "Log in as somebody else"))
}

/// 503: the provider or the plugin can't be asked.
pub(super) fn unavailable(visit: &Visit<'_>, logins: &Logins, point: &LoginPoint, to: &ReturnTo) -> Response<Bytes> {
    let page = Page::new(
        PageName::Unavailable,
        StatusCode::SERVICE_UNAVAILABLE,
        "You can't log in just now",
        format!("{} can't be asked at the moment. Try again in a while.", point.title),
    );
    let mut response = shown(visit, logins, again(page, logins, point, to));
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// 403: the user's data don't fit into a cookie. Another attempt would end in the same way.
pub(super) fn too_large(visit: &Visit<'_>, logins: &Logins, point: &LoginPoint, why: &NoSession) -> Response<Bytes> {
    tracing::error!(
        login = point.name,
        why = %why,
        "somebody has logged in and gets no session: let the plugin take over fewer groups and attributes"
    );
    let page = Page::new(
        PageName::TooLarge,
        StatusCode::FORBIDDEN,
        "You can't stay logged in",
        "What is known of your account, such as its groups, is too much for a session. Tell whoever runs this service.",
    );
    shown(visit, logins, page)
}

/// 400: a callback of no attempt of this browser. The next attempt begins when the user wants it.
pub(super) fn expired(visit: &Visit<'_>, logins: &Logins, point: &LoginPoint) -> Response<Bytes> {
    let page = Page::new(
        PageName::Expired,
        StatusCode::BAD_REQUEST,
        "This login is over",
        "It took too long, it was finished in another tab, or it began in another browser.",
    );
    shown(visit, logins, again(page, logins, point, &ReturnTo::root()))
}

/// 400: a callback that no provider makes.
pub(super) fn malformed(visit: &Visit<'_>, logins: &Logins, point: &LoginPoint) -> Response<Bytes> {
    let page = Page::new(
        PageName::Expired,
        StatusCode::BAD_REQUEST,
        "This login can't go on",
        format!(
            "{} sent you back with an address that is incomplete or can't be read.",
            point.title
        ),
    );
    shown(visit, logins, again(page, logins, point, &ReturnTo::root()))
}

/// 200: another tab of the browser renews the session. This one asks again in a second.
pub(super) fn waiting(visit: &Visit<'_>, logins: &Logins, point: &LoginPoint, to: &ReturnTo) -> Response<Bytes> {
    let place = start(None, &page_of(&point.name, ""), to, true);
    let page = Page::new(
        PageName::Waiting,
        StatusCode::OK,
        "One moment",
        "Another tab is renewing your session. This page goes on by itself.",
    );
    let page = page.link(&place, "Go on").goes_on(Duration::from_secs(1), &place);
    shown(visit, logins, page)
}

/// 400: people don't log in at this origin.
pub(super) fn other_origin(visit: &Visit<'_>, logins: &Logins) -> Response<Bytes> {
    let page = Page::new(
        PageName::Expired,
        StatusCode::BAD_REQUEST,
        "You can't log in at this address",
        "This service is known by another address. Use that one, or tell whoever runs the service.",
    );
    shown(visit, logins, page)
}

/// 401 for a script that asks for the page where a login begins.
pub(super) fn not_a_page(login: &str) -> Response<Bytes> {
    let body = json!({ "error": "Authentication required", "login": page_of(login, "") }).to_string();
    response::whole(StatusCode::UNAUTHORIZED, "application/json", body)
}

fn again(page: Page, logins: &Logins, point: &LoginPoint, to: &ReturnTo) -> Page {
    let page = page.link(&start(None, &page_of(&point.name, ""), to, false), "Try again");
    match logins.iter().count() {
        1 => page,
        _ => page.link(&start(None, PREFIX, to, false), "Log in another way"),
    }
}

fn shown(visit: &Visit<'_>, logins: &Logins, page: Page) -> Response<Bytes> {
    page.into_response(&logins.config().templates, visit.id)
}
