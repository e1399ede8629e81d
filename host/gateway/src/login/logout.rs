//! Ends a session: here, and at the provider if it has a place for that. Only POST does so, because any site can make a browser send
//! GET, and POST from another site is rejected.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::Response;
use http::StatusCode;
use http::header;
use serde_json::json;

use super::audit;
use super::audit::Entry;
use super::page::Page;
use super::page::redirect;
use super::parameters;
use super::visit::Visit;
use super::visit::page_of;
use crate::answers::html;
use crate::answers::response;
use crate::answers::session_page::SEC_FETCH_SITE;
use crate::config::PageName;
use crate::config::Templates;
use crate::generation::LoginPoint;
use crate::generation::Logins;

/// The path of the page.
pub(super) const PATH: &str = "/.portcullis/logout";

/// Asks whether to sign out, or signs out.
pub(super) async fn answer(visit: &Visit<'_>) -> Option<Response<Bytes>> {
    let wants_html = html::wants_html(visit.headers);
    if (visit.method == Method::GET || visit.method == Method::HEAD) && wants_html {
        let page = Page::new(
            PageName::SignOut,
            StatusCode::OK,
            "Sign out?",
            "You will have to log in again.",
        );
        return Some(shown(visit, page.button(PATH, "Sign out")));
    }
    if visit.method != Method::POST {
        return Some(response::whole_method_not_allowed("POST"));
    }
    if visit.header(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site") {
        return Some(response::whole_error(StatusCode::FORBIDDEN, "Forbidden"));
    }
    let elsewhere = end(visit).await;
    let mut response = match (wants_html, elsewhere) {
        (true, Some((point, place))) => leaving(visit, &point.title, &place),
        (true, None) => signed_out(visit, None)?,
        (false, elsewhere) => {
            let place = elsewhere.map(|(_, place)| place);
            let body = match place {
                Some(place) => json!({ "session": null, "location": place }),
                None => json!({ "session": null }),
            };
            response::whole(StatusCode::OK, "application/json", format!("{body}\n"))
        }
    };
    if let Some(sessions) = visit.generation.sessions() {
        response.headers_mut().append(header::SET_COOKIE, sessions.clear());
    }
    Some(response)
}

/// Ends the session, and asks its login where the provider signs the user out. `None` if there is no such place.
async fn end<'a>(visit: &Visit<'a>) -> Option<(&'a LoginPoint, String)> {
    let session = visit.session();
    if let Some((sessions, session)) = &session
        && let Some(list) = sessions.revocations()
    {
        list.revoke(session);
    }
    let session = session.map(|(_, session)| session);
    let logins = visit.generation.logins()?;
    // Who logs in as somebody else has no session here, but one at the provider.
    let named = parameters::one(visit.query, "login");
    let name = session.as_ref().map(|session| session.authenticator().to_owned());
    let point = logins.get(&name.or(named)?)?;
    let login = point.login.as_ref()?;
    let origin = visit.origin(logins).or_else(|| logins.config().origins.first())?;
    let back = format!("{origin}{}", page_of(&point.name, SIGNED_OUT));
    let keep = session.as_ref().and_then(|session| session.keep());
    let call = login.end(&visit.auth_request(), keep, &back).await;
    let (outcome, place, why) = match call.result {
        Ok(place) => ("logged_out", place, None),
        Err(error) => {
            audit::warn_of_failure(visit, &point.name, "end", &error);
            (error.label(), None, Some(error.to_string()))
        }
    };
    let entry = Entry {
        login: &point.name,
        step: "end",
        outcome,
        status: StatusCode::OK,
        user: session.as_ref().map(|session| session.identity().name()),
        why: why.as_deref(),
        elapsed: Some(call.elapsed),
    };
    entry.write(visit);
    place.map(|place| (point, place))
}

/// The page that goes on to the provider.
fn leaving(visit: &Visit<'_>, title: &str, place: &str) -> Response<Bytes> {
    let page = Page::new(
        PageName::Leaving,
        StatusCode::OK,
        "You are signed out here",
        format!("Next, {title} signs you out."),
    );
    shown(visit, page.link(place, "Go on").goes_on(Duration::ZERO, place))
}

/// Where people land after a logout. It is public, or the next redirect would sign them in again.
pub(super) fn signed_out(visit: &Visit<'_>, point: Option<&LoginPoint>) -> Option<Response<Bytes>> {
    if let Some(place) = visit
        .generation
        .logins()
        .and_then(|logins| logins.config().after_logout.as_deref())
    {
        return redirect(StatusCode::SEE_OTHER, place);
    }
    let page = Page::new(
        PageName::SignedOut,
        StatusCode::OK,
        "You are signed out",
        "You can close this page.",
    );
    let page = match point {
        Some(point) => page.link(&page_of(&point.name, ""), "Log in again"),
        None => page,
    };
    Some(shown(visit, page))
}

fn shown(visit: &Visit<'_>, page: Page) -> Response<Bytes> {
    match visit.generation.logins().map(Logins::config) {
        Some(config) => page.into_response(&config.templates, visit.id),
        None => page.into_response(&Templates::default(), visit.id),
    }
}

/// The last part of the path of the page where people land.
pub(super) const SIGNED_OUT: &str = "/signed-out";
