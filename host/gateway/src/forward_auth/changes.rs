//! The changes that a front has to make to a request, so that the upstream gets the same headers as from the gateway:
//! the identity headers are set by the gateway only, and the credentials for the gateway are removed.

use http::HeaderMap;
use http::HeaderName;
use http::header;
use portcullis_wire::header_names::fold;

use crate::headers::identity;
use crate::pipeline::Outgoing;
use crate::pipeline::SendError;

/// The changes that a front has to make to a request.
///
/// Every identity header of every route is in exactly one of `set`, `keep` and `remove`, so that no identity header of
/// a client survives.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Headers that replace those that the client sent with the same name.
    pub(crate) set: HeaderMap,
    /// Headers that stay as the client sent them, for fronts that copy only the headers of the response.
    pub(crate) keep: HeaderMap,
    /// Headers that must not reach the upstream, in every spelling that the client sent.
    pub(crate) remove: Vec<HeaderName>,
    /// Query parameters that must not reach the upstream.
    pub(crate) remove_parameters: Vec<String>,
}

impl Changes {
    /// Compares what the client sent with what the upstream may get.
    pub(super) fn of(outgoing: &Outgoing) -> Result<Self, SendError> {
        let (head, route, headers) = (outgoing.head(), outgoing.route(), outgoing.headers());
        let mut after = headers.clone();
        head.drop_cookies(&mut after);
        head.drop_credentials(&mut after);
        let (user, permits) = (outgoing.user(), outgoing.permits());
        let size = identity::set(&mut after, &route.identity, route.assertions.as_deref(), user, permits)?;
        if let Some(user) = user {
            identity::tell_if_large(route, user.identity(), size);
        }
        let mut changes = Self::default();
        for name in outgoing.generation().identity_headers() {
            changes.compare(name, headers, &after, true);
        }
        let drops_credentials = !head.keeps_credentials();
        let credentials = route.credentials.headers.iter();
        for name in credentials.chain([&header::AUTHORIZATION, &header::PROXY_AUTHORIZATION]) {
            changes.compare(name, headers, &after, drops_credentials);
        }
        changes.compare(&header::COOKIE, headers, &after, head.drops_all_cookies());
        changes.remove.extend_from_slice(outgoing.removed());
        changes.remove.retain(|name| !changes.set.contains_key(name));
        changes.remove.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        changes.remove.dedup();
        if drops_credentials {
            changes.remove_parameters.clone_from(&route.credentials.query);
        }
        Ok(changes)
    }

    /// Whether the front would mistake a response header with this name for one of the changes.
    pub(crate) fn covers(&self, name: &HeaderName) -> bool {
        let folded = fold(name);
        let mut names = self.set.keys().chain(self.keep.keys()).chain(&self.remove);
        names.any(|other| fold(other) == folded)
    }

    /// Adds the change of one header. With `always`, the header is removed even if the front didn't send it.
    fn compare(&mut self, name: &HeaderName, before: &HeaderMap, after: &HeaderMap, always: bool) {
        if self.set.contains_key(name) || self.keep.contains_key(name) {
            return;
        }
        let was_sent = before.contains_key(name);
        if !after.contains_key(name) {
            if was_sent || always {
                self.remove.push(name.clone());
            }
            return;
        }
        let values = after.get_all(name);
        let target = if values == before.get_all(name) {
            &mut self.keep
        } else {
            &mut self.set
        };
        for value in values {
            target.append(name, value.clone());
        }
    }
}
