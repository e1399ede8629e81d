//! Finds keys of a route that contradict each other, although each is valid on its own. It runs after all keys of the route
//! have been read.

use portcullis_loader::config::reader::Place;
use portcullis_wire::header_names::fold;

use crate::config::AttributeHeader;
use crate::config::Fact;
use crate::config::Paths;
use crate::config::RouteAccess;
use crate::config::RouteConfig;
use crate::config::Upstream;

impl RouteConfig {
    /// Reports all contradictions.
    pub(super) fn validate(&self, place: &Place<'_>) {
        self.validate_attributes(place);
        self.validate_templates(place);
        self.validate_authorizers(place);
        self.validate_authorize_with(place);
        self.validate_upstream_credentials(place);
        self.validate_require(place);
        self.validate_strip_prefix(place);
        if self.websocket_token.is_some() && self.access == RouteAccess::Public {
            place.report("websocket_token needs authenticators, and a public route has none");
        }
        let secrets = [
            ("identity.assertion", self.identity.assertion.is_some()),
            ("identity.basic_password", self.identity.basic_password.is_some()),
            ("identity.shared_secret", !self.identity.shared_secret.is_empty()),
        ];
        for (key, _) in secrets.into_iter().filter(|(_, is_set)| *is_set) {
            if self.access == RouteAccess::Public {
                place.report(format!("{key} needs a user, and a public route has none"));
            }
            if matches!(self.upstream, Some(Upstream::WhoAmI)) {
                place.report(format!("{key} needs an upstream to which it can be sent"));
            }
        }
        if self.forward_authorization && self.identity.basic_password.is_some() {
            place.report("forward_authorization and identity.basic_password both use the Authorization header");
        }
    }

    /// Where nobody is authenticated, nobody can be authorized.
    fn validate_authorizers(&self, place: &Place<'_>) {
        if self.authorizers.is_empty() {
            return;
        }
        if self.access == RouteAccess::Public {
            place.report(
                "public and authorizers contradict each other: nobody knows who sends a request of a public route; list \
                 authenticators, and set optional = true to have requests without credentials decided about, too",
            );
        }
        if !self.upstream_credentials.is_empty() {
            place.report("upstream_credentials would bypass authorizers: use a separate route for them");
        }
    }

    /// An authorization request needs an upstream that answers it, and a user.
    fn validate_authorize_with(&self, place: &Place<'_>) {
        if self.authorize.is_none() {
            return;
        }
        if !matches!(self.access, RouteAccess::Protected(_)) {
            place.report("authorize_with needs a user on every request, but this route accepts anonymous requests");
        }
        if matches!(self.upstream, None | Some(Upstream::WhoAmI)) {
            place.report("authorize_with needs an upstream to ask: set upstream to a URL or the name of an upstream");
        }
        if self.paths == Paths::AsIs {
            place.report(
                "authorize_with can't be combined with paths = \"as-is\", because programs disagree about the segments of \
                 such paths",
            );
        }
        if self.forward_authorization {
            place.report(
                "authorize_with can't be combined with forward_authorization, because the authorization request has \
                 identity headers instead of the client's credentials",
            );
        }
    }

    /// Only an authenticated user can be in a list.
    fn validate_require(&self, place: &Place<'_>) {
        if self.require.is_some() && !matches!(self.access, RouteAccess::Protected(_)) {
            place.report("require needs a user on every request, but this route accepts anonymous requests");
        }
        if self.require.is_some() && !self.upstream_credentials.is_empty() {
            place.report("upstream_credentials would bypass require: use a separate route for them");
        }
    }

    /// What is left of the path must be a path that the upstream can't read as another one.
    fn validate_strip_prefix(&self, place: &Place<'_>) {
        if !self.strip_prefix {
            return;
        }
        if self.matcher.path.decoded() == "/" {
            place.report("strip_prefix has nothing to remove, because the route's path is /");
        }
        if matches!(self.upstream, Some(Upstream::WhoAmI)) {
            place.report("strip_prefix needs an upstream that gets the path");
        }
        if self.authorize.is_some() {
            place.report(
                "strip_prefix can't be combined with authorize_with: put the prefix into the upstream, or use a separate \
                 route for what needs authorization",
            );
        }
        if self.paths == Paths::AsIs {
            place.report(
                "strip_prefix can't be combined with paths = \"as-is\", because programs disagree about where the prefix ends",
            );
        }
    }

    /// An exception needs something that it is an exception from.
    fn validate_upstream_credentials(&self, place: &Place<'_>) {
        if self.upstream_credentials.is_empty() {
            return;
        }
        if self.access == RouteAccess::Public {
            place.report("upstream_credentials are exceptions from authentication, and a public route has none");
        }
        if self.authorize.is_some() {
            place.report("upstream_credentials would bypass authorize_with: use a separate route for them");
        }
    }

    /// Two plugins may use the same name for different attributes, and one plugin may be less trusted than the other.
    fn validate_attributes(&self, place: &Place<'_>) {
        let asked = self.access.authenticators();
        let attributes = &self.identity.attributes;
        for AttributeHeader {
            source,
            attribute,
            header,
        } in attributes
        {
            match source {
                None if asked.len() > 1 => place.report(format!(
                    "identity.attributes.{attribute}: the route has several authenticators; name the one that provides \
                     the attribute: attributes.NAME.{attribute}"
                )),
                // The users of several authenticators may share a header, since a user is of one of them.
                Some(name) if self.authorizers.contains(name) => {
                    let others = attributes.iter().filter(|other| other.source != *source);
                    if others.filter(|other| fold(&other.header) == fold(header)).count() > 0 {
                        place.report(format!("identity.attributes.{name}: the header {header} is used twice"));
                    }
                }
                Some(name) if !asked.contains(name) => {
                    place.report(format!(
                        "identity.attributes.{name}: the route has no authenticator or authorizer of that name"
                    ));
                }
                _ => {}
            }
        }
    }

    /// A template names only what a user of the route can have.
    fn validate_templates(&self, place: &Place<'_>) {
        for (header, template) in &self.identity.templates {
            for fact in template.facts() {
                match fact {
                    Fact::Attribute(attribute) if self.access.authenticators().len() > 1 => place.report(format!(
                        "identity.headers.{header}: the route has several authenticators, which may mean different things by \
                         {attribute}; use identity.attributes, where each has its own table"
                    )),
                    Fact::Permit(authorizer, _) if !self.authorizers.contains(authorizer) => place.report(format!(
                        "identity.headers.{header}: the route has no authorizer {authorizer}"
                    )),
                    _ => {}
                }
            }
        }
    }
}
