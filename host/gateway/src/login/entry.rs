//! What a request gets that nobody has authenticated, on a route with a login: a browser that can come back is sent there, and
//! whatever else asks is told the place. It sets no cookie, because some fronts pass on none here.

use bytes::Bytes;
use http::HeaderName;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::Uri;
use http::header;
use portcullis::decision::Refusal;
use serde_json::json;

use super::browser::Seeker;
use super::page::Page;
use super::page::redirect;
use super::return_to::ReturnTo;
use super::visit::PREFIX;
use super::visit::Visit;
use super::visit::page_of;
use crate::answers::response;
use crate::config::Origin;
use crate::config::PageName;
use crate::generation::Logins;
use crate::proxy::body;
use crate::proxy::body::Body;

/// The response to a request that is refused because it has no credentials. `names` are the logins of its route; `silent` says
/// whether the user need not be asked, because a session goes on with it. `None` if the response is the refusal's own.
pub(crate) fn answer(visit: &Visit<'_>, names: &[String], silent: bool, refusal: &Refusal) -> Option<Response<Body>> {
    let logins = visit.generation.logins()?;
    let login = login_of(names)?;
    if !refusal.lacks_credentials() {
        return None;
    }
    let origin = visit.origin(logins)?;
    let response = match Seeker::of(visit) {
        Seeker::Page => {
            let to = ReturnTo::of(visit.path, visit.query);
            redirect(StatusCode::FOUND, &start(Some(origin), &login, &to, silent))?
        }
        Seeker::Frame => unsent(visit, logins, Unsent::Frame, &login),
        Seeker::Form => unsent(visit, logins, Unsent::Form, &login),
        Seeker::Program => told(visit, origin, &login, refusal),
    };
    Some(response.map(body::full))
}

/// The path of the page where one of these logins begins. `None` if there is none.
fn login_of(names: &[String]) -> Option<String> {
    match names {
        [] => None,
        [one] => Some(page_of(one, "")),
        _ => Some(PREFIX.to_owned()),
    }
}

/// Where a login begins.
pub(super) fn start(origin: Option<&Origin>, login: &str, to: &ReturnTo, silent: bool) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("to", to.as_str());
    if silent {
        query.append_pair("silent", "1");
    }
    let origin = origin.map(Origin::as_str).unwrap_or_default();
    format!("{origin}{login}?{}", query.finish())
}

/// 401 with the challenges, and the place where a person can log in.
fn told(visit: &Visit<'_>, origin: &Origin, login: &str, refusal: &Refusal) -> Response<Bytes> {
    let refused = refusal.clone().into_response();
    let body = json!({ "error": "Authentication required", "login": login }).to_string();
    let mut response = response::whole(StatusCode::UNAUTHORIZED, "application/json", body);
    for challenge in refused.headers().get_all(header::WWW_AUTHENTICATE) {
        response
            .headers_mut()
            .append(header::WWW_AUTHENTICATE, challenge.clone());
    }
    // htmx replaces the page then. It follows no redirect by itself, and the fragment would be lost in the page.
    if visit.has("hx-request") {
        let to = visit.header("hx-current-url").and_then(|url| on_origin(url, origin));
        let place = start(None, login, &to.unwrap_or_else(ReturnTo::root), false);
        if let Ok(place) = HeaderValue::try_from(place) {
            response.headers_mut().insert(HX_REDIRECT, place);
        }
    }
    response
}

/// The place that a URL on this origin names.
fn on_origin(url: &str, origin: &Origin) -> Option<ReturnTo> {
    let uri: Uri = url.parse().ok()?;
    let own = Origin::of(uri.scheme()?, uri.authority()?.as_str())?;
    (own == *origin).then(|| ReturnTo::of(uri.path(), uri.query()))
}

fn unsent(visit: &Visit<'_>, logins: &Logins, what: Unsent, login: &str) -> Response<Bytes> {
    let to = ReturnTo::of(visit.path, visit.query);
    let mut response = what
        .page(login, &to)
        .into_response(&logins.config().templates, visit.id);
    response.extensions_mut().insert(PageAt(what.place(&to)));
    response
}

/// What a browser without a session asks for that isn't sent to log in: a page says why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unsent {
    /// A page in a frame.
    Frame,
    /// A form.
    Form,
}

/// Where the page of a refusal can be fetched, for a front that keeps nothing of a refusal but its status.
#[derive(Clone, Debug)]
pub(crate) struct PageAt(pub(crate) String);

impl Unsent {
    const ALL: [(Self, &'static str); 2] = [(Self::Frame, "frame"), (Self::Form, "form")];

    /// Reads the parameter [`UNSENT`].
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (known, _) = Self::ALL.into_iter().find(|(_, name)| *name == text)?;
        Some(known)
    }

    /// The page that says why, with a link to this login.
    pub(super) fn page(self, login: &str, to: &ReturnTo) -> Page {
        let (name, title, text) = match self {
            Self::Frame => (
                PageName::Frame,
                "You are not logged in",
                "Log in to see what belongs here.",
            ),
            Self::Form => (
                PageName::Form,
                "The form was not sent",
                "You are not logged in any more. Log in, then go back and send the form again: what you entered should still be \
                 there.",
            ),
        };
        Page::new(name, StatusCode::UNAUTHORIZED, title, text).link(&start(None, login, to, false), "Log in")
    }

    /// The path of the page, with its query.
    fn place(self, to: &ReturnTo) -> String {
        let name = Self::ALL
            .iter()
            .find(|(known, _)| *known == self)
            .map(|(_, name)| *name);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("to", to.as_str());
        query.append_pair(UNSENT, name.unwrap_or_default());
        format!("{PREFIX}?{}", query.finish())
    }
}

/// The parameter of the page of logins that says what a browser has asked for.
pub(super) const UNSENT: &str = "unsent";

const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");
