//! The header names that no client may send, because some upstream reads the user's identity from them.

use std::borrow::Cow;

use crate::header_names::FoldedNames;
use crate::header_names::fold;
use crate::header_names::remove_where;
use http::HeaderMap;
use http::HeaderName;

/// The header names that no client may send: those that any route sets, and those that some upstreams are known to
/// believe.
#[derive(Clone, Debug, Default)]
pub struct IdentityNames(FoldedNames);

impl IdentityNames {
    /// Collects the well-known names, and the names that the routes of a gateway set.
    pub fn new<'a>(configured: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        let configured = configured.into_iter().map(|name| Cow::Owned(fold(name).into_owned()));
        Self(FoldedNames::new(
            configured.chain(WELL_KNOWN.map(Cow::Borrowed)),
            &WELL_KNOWN_PREFIXES,
        ))
    }

    /// Whether headers with this name are removed from every request.
    pub fn contains(&self, name: &HeaderName) -> bool {
        self.0.contains(name)
    }

    /// Removes these headers in every spelling, and returns the removed names.
    pub fn remove_from(&self, headers: &mut HeaderMap) -> Vec<HeaderName> {
        remove_where(headers, |name| self.contains(name))
    }
}

/// Names by which some upstream learns its user from an authenticating proxy, folded. Headers with signed content are
/// not included, because an authenticator may verify them.
const WELL_KNOWN: [&str; 32] = [
    // Authelia; CGI
    "remote-email",
    "remote-group",
    "remote-groups",
    "remote-name",
    "remote-user",
    "x-remote-email",
    "x-remote-group",
    "x-remote-groups",
    "x-remote-name",
    "x-remote-user",
    // oauth2-proxy, Traefik
    "x-forwarded-access-token",
    "x-forwarded-email",
    "x-forwarded-group",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-roles",
    "x-forwarded-user",
    // dask-gateway and others
    "x-auth-admin",
    "x-auth-email",
    "x-auth-groups",
    "x-auth-roles",
    "x-auth-user",
    "x-auth-username",
    // Kong, APISIX
    "x-anonymous-consumer",
    "x-credential-identifier",
    "x-userinfo",
    // Cloudflare, Amazon, Google
    "cf-access-authenticated-user-email",
    "x-amzn-oidc-identity",
    "x-goog-authenticated-user-email",
    "x-goog-authenticated-user-id",
    // nginx with client certificates
    "ssl-client-s-dn",
    "x-ssl-client-s-dn",
];

/// Prefixes of such names, folded.
const WELL_KNOWN_PREFIXES: [&str; 12] = [
    "oidc-claim-",           // mod_auth_openidc
    "tailscale-user-",       // Tailscale
    "x-auth-request-",       // oauth2-proxy
    "x-authenticated-",      // Kong
    "x-authentik-",          // authentik
    "x-consumer-",           // Kong, APISIX
    "x-ms-client-principal", // Azure
    "x-pomerium-claim-",     // Pomerium
    "x-portcullis-",         // this gateway
    "x-remote-extra-",       // Kubernetes
    "x-vouch-",              // Vouch Proxy
    "x-webauth-",            // Grafana
];

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn identity_headers_are_removed_in_every_spelling() {
        let custom = ["x-my_user", "_user"].map(HeaderName::from_static);
        let removed = IdentityNames::new(&custom);
        for name in [
            "X-My-User",
            "x_my.user",
            "~User",
            "Remote-User",
            "Remote_User",
            "X_Forwarded_User",
            "X-Forwarded.Email",
            "x-forwarded-groups",
            "X-Auth_User",
            "X-Auth-Request-Anything",
            "X_Portcullis_Token",
            "X-Ms-Client-Principal",
            "X-Consumer-Username",
        ] {
            let mut headers = HeaderMap::new();
            headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("mallory"));
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_static("mallory2"),
            );
            removed.remove_from(&mut headers);
            assert!(headers.is_empty(), "{name}");
        }
        for name in [
            "authorization",
            "cookie",
            "x-auth-token",
            "x-api-key",
            "x-user-agent",
            "user-agent",
        ] {
            assert!(!removed.contains(&HeaderName::from_static(name)), "{name}");
        }
    }
}
