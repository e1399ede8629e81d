//! The upstream `portcullis:whoami`, a page that shows who the user is. A gateway without configuration serves it, and
//! it is useful for trying an authenticator.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::Method;
use http::Response;
use portcullis::decision::Authenticated;
use serde::Serialize;
use serde_json::json;

use crate::answers::html;
use crate::answers::response;
use crate::html::escape;
use crate::proxy::body::Body;

/// Shows the user, as a page to browsers and as JSON to all other clients.
pub(crate) fn answer(method: &Method, headers: &HeaderMap, user: Option<&Authenticated>) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        return response::method_not_allowed("GET, HEAD");
    }
    if html::wants_html(headers) {
        return html::html(&title(user), &rows(user));
    }
    match user {
        Some(user) => response::json(&facts(user)),
        None => response::json(&json!({ "name": null })),
    }
}

fn title(user: Option<&Authenticated>) -> String {
    match user {
        Some(user) => format!("You are {}", user.identity().name()),
        None => "You are not signed in".to_owned(),
    }
}

/// What clients other than browsers get.
#[derive(Serialize)]
struct Facts<'a> {
    admin: bool,
    attributes: BTreeMap<&'a str, &'a str>,
    authenticator: &'a str,
    groups: &'a [String],
    name: &'a str,
}

fn facts(user: &Authenticated) -> Facts<'_> {
    let identity = user.identity();
    Facts {
        admin: identity.admin(),
        attributes: identity.attributes().collect(),
        authenticator: user.authenticator(),
        groups: identity.groups(),
        name: identity.name(),
    }
}

fn rows(user: Option<&Authenticated>) -> String {
    let Some(user) = user else {
        return "<p>This page is public.</p>\n".to_owned();
    };
    let identity = user.identity();
    let groups = if identity.groups().is_empty() {
        "none".to_owned()
    } else {
        identity.groups().join(", ")
    };
    let admin = if identity.admin() { "yes" } else { "no" };
    let first = [("Groups", groups.as_str()), ("Administrator", admin)];
    let rows = first
        .into_iter()
        .chain(identity.attributes())
        .chain([("Authenticator", user.authenticator())]);
    let rows = rows.map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value)));
    format!("<dl>\n{}</dl>\n", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_get_and_head_are_answered() {
        let status = |method| answer(&method, &HeaderMap::new(), None).status().as_u16();
        assert_eq!(
            (status(Method::GET), status(Method::HEAD), status(Method::POST)),
            (200, 200, 405)
        );
    }
}
