//! Logs people in and out with a browser. A plugin speaks the provider's protocol; the cookies, the redirects, the pages and the end
//! of sessions are here.

mod audit;
mod browser;
mod callback;
mod entry;
mod exchange;
mod guard;
mod logout;
mod notice;
mod outcome;
mod page;
mod parameters;
mod return_to;
mod silent;
mod start;
mod visit;

use bytes::Bytes;
use http::Method;
use http::Response;
use portcullis_wire::path::CanonicalPath;

use crate::answers::internal_pages;
use crate::answers::jwks;
use crate::answers::response;
use crate::answers::revocations;
use crate::answers::session_page;
use crate::proxy::body;
use crate::proxy::body::Body;
use crate::sessions::REVOCATIONS_PATH;
use crate::transport::connection::ReceivedBody;

pub(crate) use self::entry::PageAt;
pub(crate) use self::entry::answer as answer_refused;
pub(crate) use self::exchange::Exchanges;
pub(crate) use self::visit::Visit;

/// Answers a request for one of the gateway's own paths.
pub(crate) async fn answer(
    visit: &Visit<'_>,
    path: &CanonicalPath,
    exchanges: &Exchanges,
    body: ReceivedBody,
) -> Response<Body> {
    match own(visit, path.decoded(), exchanges, body).await {
        Some(Some(response)) => response.map(body::full),
        Some(None) => response::failure(),
        None => internal_pages::answer(),
    }
}

/// The response of a login's page. The outer `None` means that there is no such page, the inner one that it can't be written.
async fn own(
    visit: &Visit<'_>,
    path: &str,
    exchanges: &Exchanges,
    body: ReceivedBody,
) -> Option<Option<Response<Bytes>>> {
    if path == session_page::PATH {
        let (method, headers) = (visit.method, visit.headers);
        return Some(Some(session_page::answer(
            method,
            headers,
            visit.generation.sessions(),
            visit.generation.everybody().chain(),
        )));
    }
    if path == jwks::PATH {
        return Some(jwks::answer(visit.method, visit.generation.assertions()?));
    }
    if path == REVOCATIONS_PATH {
        return Some(Some(
            revocations::receive(visit.method, visit.generation.sessions(), body).await,
        ));
    }
    if path == logout::PATH {
        return Some(logout::answer(visit).await);
    }
    let logins = visit.generation.logins()?;
    let rest = path.strip_prefix(visit::PREFIX)?;
    let (name, page) = match rest.strip_prefix('/') {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None if rest.is_empty() => ("", ""),
        None => return None,
    };
    let point = match name {
        "" => None,
        name => Some(logins.get(name)?),
    };
    if let (Some(point), "/notice") = (point, page) {
        return Some(Some(notice::receive(visit, point, body).await));
    }
    let is_known = matches!((point, page), (_, "") | (Some(_), "/callback" | logout::SIGNED_OUT));
    if is_known && visit.method != Method::GET {
        return Some(Some(response::whole_method_not_allowed("GET")));
    }
    match (point, page) {
        (None, "") => Some(start::choose(visit, logins)),
        (Some(point), "") => Some(start::begin(visit, logins, point, exchanges).await),
        (Some(point), "/callback") => Some(callback::finish(visit, logins, point, exchanges).await),
        (Some(point), logout::SIGNED_OUT) => Some(logout::signed_out(visit, Some(point))),
        _ => None,
    }
}
