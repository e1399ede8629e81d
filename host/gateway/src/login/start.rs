//! Where a login begins: the page to choose one, and the redirect to the provider. Only somebody who opens a page begins one, so that
//! requests of scripts leave no cookies.

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Response;
use http::StatusCode;
use http::header;
use portcullis::Flow;
use portcullis::session::PendingFlow;
use portcullis::session::Session;
use portcullis::session::Sessions;
use portcullis::session::UnusableFlow;

use super::audit;
use super::audit::Entry;
use super::browser;
use super::entry;
use super::entry::UNSENT;
use super::entry::Unsent;
use super::exchange::Exchanges;
use super::guard;
use super::outcome;
use super::page::Page;
use super::page::redirect;
use super::parameters;
use super::return_to::ReturnTo;
use super::visit::PREFIX;
use super::visit::Visit;
use super::visit::page_of;
use super::visit::redirect_uri;
use crate::config::Origin;
use crate::config::PageName;
use crate::generation::LoginPoint;
use crate::generation::Logins;

/// The page on which a user chooses a login. If there is no choice, the only login begins.
pub(super) fn choose(visit: &Visit<'_>, logins: &Logins) -> Option<Response<Bytes>> {
    let to = to(visit);
    let path = portcullis_wire::path::CanonicalPath::parse_with_encoded_slashes(to.path()).ok();
    let route = path.and_then(|path| visit.generation.route(visit.authority, &path, &Method::GET));
    let named = route.map(|route| route.logins.as_slice()).unwrap_or_default();
    let mut offered = Vec::from_iter(named.iter().filter_map(|name| logins.get(name)));
    if offered.is_empty() {
        offered = logins.iter().collect();
    }
    let place = |point: &LoginPoint| entry::start(None, &page_of(&point.name, ""), &to, false);
    if let Some(unsent) = parameters::one(visit.query, UNSENT).and_then(|what| Unsent::parse(&what)) {
        let login = match offered.as_slice() {
            [only] => page_of(&only.name, ""),
            _ => PREFIX.to_owned(),
        };
        return Some(
            unsent
                .page(&login, &to)
                .into_response(&logins.config().templates, visit.id),
        );
    }
    if let [only] = offered.as_slice() {
        return redirect(StatusCode::SEE_OTHER, &place(only));
    }
    let page = Page::new(
        PageName::Choose,
        StatusCode::OK,
        "Log in",
        "There are several ways to log in here. Choose one:",
    );
    let page = offered
        .iter()
        .fold(page, |page, point| page.link(&place(point), &point.title));
    Some(page.into_response(&logins.config().templates, visit.id))
}

/// Sends a browser to the provider of a login.
pub(super) async fn begin(
    visit: &Visit<'_>,
    logins: &Logins,
    point: &LoginPoint,
    exchanges: &Exchanges,
) -> Option<Response<Bytes>> {
    let refused = |status, outcome: &'static str, why: &str| {
        let entry = Entry {
            login: &point.name,
            step: "begin",
            outcome,
            status,
            user: None,
            why: Some(why),
            elapsed: None,
        };
        entry.write(visit);
    };
    if browser::is_prefetched(visit) || browser::is_subresource(visit) {
        refused(
            StatusCode::UNAUTHORIZED,
            "refused",
            "nobody opens the page: a script or a prefetch asks for it",
        );
        return Some(outcome::not_a_page(&point.name));
    }
    let Some(origin) = visit.origin(logins) else {
        refused(StatusCode::BAD_REQUEST, "refused", "the origin isn't in login.origins");
        return Some(outcome::other_origin(visit, logins));
    };
    let to = to(visit);
    if guard::is_circle(logins.flows(), visit.headers, &to) {
        refused(
            StatusCode::TOO_MANY_REQUESTS,
            "loop",
            "the browser has logged in three times within a minute: it keeps no session cookie, where it goes doesn't accept its \
             session, or the session is due before the browser is back there",
        );
        return Some(circle(visit, logins, point, &to));
    }
    let Some(login) = &point.login else {
        refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "its authenticator is disabled",
        );
        return Some(outcome::unavailable(visit, logins, point, &to));
    };
    let silent = parameters::one(visit.query, "silent").is_some_and(|silent| silent == "1");
    let flow = Flow::new(redirect_uri(origin, point), silent)?;
    let renewed = visit
        .session()
        .filter(|(_, session)| silent && session.authenticator() == point.name);
    if let Some((sessions, session)) = &renewed {
        if let Some(renewed) = newest(sessions, session) {
            let origin = origin.as_str();
            let mut response = redirect(StatusCode::SEE_OTHER, &format!("{origin}{to}"))?;
            response
                .headers_mut()
                .extend(renewed.map(|cookie| (header::SET_COOKIE, cookie)));
            refused(response.status(), "late", "the session has been renewed already");
            return Some(response);
        }
        if !exchanges.silent.begin(session.id(), &flow.state) {
            refused(StatusCode::OK, "waiting", "another tab renews the session");
            return Some(outcome::waiting(visit, logins, point, &to));
        }
    }
    let call = login.begin(&visit.auth_request(), &flow).await;
    let entry = |outcome, status, why| Entry {
        login: &point.name,
        step: "begin",
        outcome,
        status,
        user: None,
        why,
        elapsed: Some(call.elapsed),
    };
    let departure = match &call.result {
        Ok(departure) => departure,
        Err(error) => {
            if let Some((_, session)) = &renewed {
                exchanges.silent.end(session.id(), &flow.state);
            }
            audit::warn_of_failure(visit, &point.name, "begin", error);
            let response = outcome::of_error(visit, logins, point, &to, error);
            entry(error.label(), response.status(), Some(&error.to_string())).write(visit);
            return Some(response);
        }
    };
    let pending = PendingFlow {
        flow,
        authenticator: point.name.clone(),
        to: to.as_str().to_owned(),
        memo: departure.memo.clone(),
    };
    let response = sent(visit, logins, origin, pending, &departure.location);
    let outcome = if response.is_some() { "sent" } else { "failed" };
    let status = response
        .as_ref()
        .map_or(StatusCode::INTERNAL_SERVER_ERROR, Response::status);
    entry(outcome, status, None).write(visit);
    response
}

/// A session that is due no more, because another tab has renewed it: its cookie, if the browser still has an older one. The outer
/// `None` means that it is still due.
fn newest(sessions: &Sessions, session: &Session) -> Option<Option<HeaderValue>> {
    if !session.is_due() {
        return Some(None);
    }
    let renewed = sessions.renewed_meanwhile(session)?;
    sessions.cookie_of(&renewed).ok().map(Some)
}

fn sent(
    visit: &Visit<'_>,
    logins: &Logins,
    origin: &Origin,
    pending: PendingFlow,
    location: &str,
) -> Option<Response<Bytes>> {
    let begun = match logins.flows().begin(visit.headers, &pending) {
        // A login that lands on the front page is better than none.
        Err(UnusableFlow::TooLarge) => {
            let to = ReturnTo::root().as_str().to_owned();
            logins.flows().begin(visit.headers, &PendingFlow { to, ..pending })
        }
        begun => begun,
    };
    let cookies = begun
        .inspect_err(|error| tracing::error!(%origin, why = %error, "no login can begin"))
        .ok()?;
    let mut response = redirect(StatusCode::SEE_OTHER, location)?;
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Some(response)
}

/// The page for a browser that comes back again and again. It counts anew when the user goes on.
fn circle(visit: &Visit<'_>, logins: &Logins, point: &LoginPoint, to: &ReturnTo) -> Response<Bytes> {
    let page = Page::new(
        PageName::Loop,
        StatusCode::TOO_MANY_REQUESTS,
        "You keep being sent back to log in",
        "You have logged in several times within a minute, and were sent back each time. Allow cookies for this site, close other \
         tabs of it, and try again. If that doesn't help, tell whoever runs it.",
    )
    .link(&entry::start(None, &page_of(&point.name, ""), to, false), "Try again");
    let mut response = page.into_response(&logins.config().templates, visit.id);
    response
        .headers_mut()
        .extend(guard::none(logins.flows()).map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

fn to(visit: &Visit<'_>) -> ReturnTo {
    let asked = parameters::one(visit.query, "to");
    asked.map_or_else(ReturnTo::root, |to| ReturnTo::parse(&to))
}
