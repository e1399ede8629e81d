//! Finds the route of a request. A path with several readings has a route only if all readings lead to the same one.

use std::sync::Arc;

use http::Method;
use http::header;
use portcullis_wire::path::PathError;

use crate::answers::internal_pages;
use crate::config::Paths;
use crate::generation::Generation;
use crate::generation::Route;
use crate::headers::cors;
use crate::pipeline::audit;
use crate::pipeline::entrance::Entrance;
use crate::pipeline::rejection::Rejection;
use crate::pipeline::request::Received;
use crate::pipeline::target::Target;

/// Finds the route of a request. `None` for the gateway's own paths.
pub(super) fn find(
    generation: &Generation,
    entrance: Entrance,
    request: &Received,
) -> Result<Option<Arc<Route>>, Rejection> {
    let announced = announced(generation, request);
    let method = announced.as_ref().unwrap_or(&request.parts.method);
    let found = served(generation, entrance, &request.target, method);
    if let (Err(rejection), true) = (&found, entrance.serves()) {
        let (client, method) = (&request.client, &request.parts.method);
        audit::rejected(request.id(), client, method, request.target.path.as_str(), rejection);
    }
    found
}

fn served(
    generation: &Generation,
    entrance: Entrance,
    target: &Target,
    method: &Method,
) -> Result<Option<Arc<Route>>, Rejection> {
    if target.path.irregularity().is_none() && internal_pages::covers(&target.path) {
        return entrance.admits_internal(&target.path).map(|()| None);
    }
    let route = unambiguous(generation, target, method)?;
    entrance.admits(route)?;
    Ok(Some(Arc::clone(route)))
}

/// A CORS preflight asks for the route of the request that it announces, if that route forwards preflights.
fn announced(generation: &Generation, request: &Received) -> Option<Method> {
    let (target, parts) = (&request.target, &request.parts);
    if !cors::is_preflight(&parts.method, &parts.headers) {
        return None;
    }
    let announced = parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let announced = Method::from_bytes(announced.as_bytes()).ok()?;
    let route = generation.route(target.authority.as_deref(), &target.path, &announced)?;
    route.config.passes_preflight.then_some(announced)
}

/// The route that every reading of the path leads to.
fn unambiguous<'a>(generation: &'a Generation, target: &Target, method: &Method) -> Result<&'a Arc<Route>, Rejection> {
    let host = target.authority.as_deref();
    let route = generation.route(host, &target.path, method);
    let passes = |route: &&Arc<Route>| route.config.paths == Paths::AsIs;
    if let (Some(error), None) = (target.path.irregularity(), route.filter(passes)) {
        return Err(Rejection::malformed(error));
    }
    let unserved = || match generation.methods_of(host, &target.path) {
        Some(methods) => Rejection::RouteMethod(methods),
        None => match host.filter(|host| !generation.serves_host(host)) {
            Some(host) => Rejection::Host(host.chars().take(MAX_HOST).collect()),
            None => Rejection::Route,
        },
    };
    let route = route.ok_or_else(unserved)?;
    if target.path.has_encoded_slash() && !route.config.allows_encoded_slash() {
        return Err(Rejection::malformed(PathError::ENCODED_SLASH));
    }
    let is_route = |reading| {
        let other = generation.route(host, &reading, method);
        other.is_some_and(|other| Arc::ptr_eq(route, other)) && !internal_pages::covers(&reading)
    };
    if target.path.other_readings().all(is_route) {
        Ok(route)
    } else {
        Err(Rejection::malformed(
            "the path leads to different routes, depending on how it is read",
        ))
    }
}

/// How much of a host is logged, in characters: the longest name that DNS allows (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 255;
