//! Keys of a route that are sound alone and make no sense together.

use crate::config::AttributeHeader;
use crate::config::RouteAccess;
use crate::config::RouteConfig;
use crate::config::Upstream;
use crate::config::reader::Place;

impl RouteConfig {
    /// Reports all of them.
    pub(super) fn validate(&self, place: &Place<'_>) {
        self.validate_attributes(place);
        self.validate_authorize_with(place);
        self.validate_upstream_credentials(place);
        let secrets = [
            ("identity.basic_password", self.identity.basic_password.is_some()),
            ("identity.shared_secret", !self.identity.shared_secret.is_empty()),
        ];
        for (key, _) in secrets.into_iter().filter(|(_, is_set)| *is_set) {
            if self.access == RouteAccess::Public {
                place.report(format!("{key} needs a user, and a public route asks for none"));
            }
            if matches!(self.upstream, Some(Upstream::WhoAmI)) {
                place.report(format!("{key} needs an upstream that it is sent to"));
            }
        }
        if self.forward_authorization && self.identity.basic_password.is_some() {
            place.report("forward_authorization and identity.basic_password both want the Authorization header");
        }
    }

    /// A question needs somebody to ask and somebody to ask about.
    fn validate_authorize_with(&self, place: &Place<'_>) {
        if self.authorize.is_none() {
            return;
        }
        if !matches!(self.access, RouteAccess::Protected(_)) {
            place.report("authorize_with needs a user on every request: this route lets anonymous ones pass");
        }
        if matches!(self.upstream, None | Some(Upstream::WhoAmI)) {
            place.report("authorize_with asks the route's upstream: set upstream to a URL");
        }
        if self.forward_authorization {
            place.report(
                "authorize_with asks in the gateway's own words, so the upstream has to know the user by identity \
                 headers: forward_authorization can't stand beside it",
            );
        }
    }

    /// Where nobody is asked, there is nothing to make an exception from.
    fn validate_upstream_credentials(&self, place: &Place<'_>) {
        if self.upstream_credentials.is_empty() {
            return;
        }
        if self.access == RouteAccess::Public {
            place.report("upstream_credentials are exceptions from authentication, and a public route has none");
        }
        if self.authorize.is_some() {
            place.report("upstream_credentials would get past authorize_with: give them a route of their own");
        }
    }

    /// Two plugins may mean different things by the same word, and one of them may be less trusted than the other.
    fn validate_attributes(&self, place: &Place<'_>) {
        let asked = self.access.authenticators();
        for AttributeHeader {
            authenticator,
            attribute,
            ..
        } in &self.identity.attributes
        {
            match authenticator {
                None if asked.len() > 1 => place.report(format!(
                    "identity.attributes.{attribute}: several authenticators are asked here; say whose it is: \
                     attributes.NAME.{attribute}"
                )),
                Some(name) if !asked.contains(name) => {
                    place.report(format!(
                        "identity.attributes.{name}: no authenticator of that name is asked here"
                    ));
                }
                _ => {}
            }
        }
    }
}
