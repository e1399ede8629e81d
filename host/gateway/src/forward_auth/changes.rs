//! What a front has to change in its request, so that its upstream gets what it would get from the gateway: identity
//! headers that only the gateway sets, and none of the credentials that were for the gateway.

use http::HeaderMap;
use http::HeaderName;
use http::header;
use portcullis_wire::header_names::fold;

use crate::headers::identity;
use crate::pipeline::Outgoing;
use crate::pipeline::SendError;

/// Changes of a request that goes on to a front's upstream.
///
/// Every identity header of every route is in exactly one of the three, so that none of a client's own survives.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// In place of what the client sent under these names.
    pub(crate) set: HeaderMap,
    /// What goes on as the client sent it, for fronts that copy what they are told and nothing else.
    pub(crate) keep: HeaderMap,
    /// Not for the upstream, in every spelling that came.
    pub(crate) remove: Vec<HeaderName>,
    /// Parameters of the query that are not for the upstream.
    pub(crate) remove_parameters: Vec<String>,
}

impl Changes {
    /// Compares what the client sent with what the upstream may get.
    pub(super) fn of(outgoing: &Outgoing) -> Result<Self, SendError> {
        let (head, route, headers) = (outgoing.head(), outgoing.route(), outgoing.headers());
        let mut after = headers.clone();
        head.drop_cookies(&mut after);
        head.drop_credentials(&mut after);
        if let Some(user) = outgoing.user() {
            identity::set(&mut after, &route.identity, user)?;
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

    /// Whether a response header of this name would be taken for the upstream's.
    pub(crate) fn covers(&self, name: &HeaderName) -> bool {
        let folded = fold(name);
        let mut names = self.set.keys().chain(self.keep.keys()).chain(&self.remove);
        names.any(|other| fold(other) == folded)
    }

    /// Notes what becomes of one header. `always`: it goes even where the front hasn't shown it.
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
        let goal = if values == before.get_all(name) {
            &mut self.keep
        } else {
            &mut self.set
        };
        for value in values {
            goal.append(name, value.clone());
        }
    }
}
