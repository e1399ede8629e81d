//! Finds the route of a request. A path with several readings has a route only if all readings lead to the same one.

use std::sync::Arc;

use portcullis_wire::path::PathError;

use crate::answers::internal_pages;
use crate::config::Paths;
use crate::generation::Generation;
use crate::generation::Route;
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
    let found = served(generation, entrance, &request.target);
    if let (Err(rejection), true) = (&found, entrance.serves()) {
        let (client, method) = (&request.client, &request.parts.method);
        audit::rejected(client, method, request.target.path.as_str(), rejection);
    }
    found
}

fn served(generation: &Generation, entrance: Entrance, target: &Target) -> Result<Option<Arc<Route>>, Rejection> {
    if target.path.irregularity().is_none() && internal_pages::covers(&target.path) {
        return entrance.admits_internal(&target.path).map(|()| None);
    }
    let route = unambiguous(generation, target)?;
    entrance.admits(route)?;
    Ok(Some(Arc::clone(route)))
}

/// The route that every reading of the path leads to.
fn unambiguous<'a>(generation: &'a Generation, target: &Target) -> Result<&'a Arc<Route>, Rejection> {
    let host = target.authority.as_deref();
    let route = generation.route(host, &target.path);
    let passes = |route: &&Arc<Route>| route.config.paths == Paths::AsIs;
    if let (Some(error), None) = (target.path.irregularity(), route.filter(passes)) {
        return Err(Rejection::malformed(error));
    }
    let route = route.ok_or(Rejection::Route)?;
    if target.path.has_encoded_slash() && !route.config.allows_encoded_slash() {
        return Err(Rejection::malformed(PathError::ENCODED_SLASH));
    }
    let is_route = |reading| {
        let other = generation.route(host, &reading);
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
