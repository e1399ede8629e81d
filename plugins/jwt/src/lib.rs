//! The built-in authenticator `jwt`. It accepts JSON Web Tokens (RFC 7519) that are signed by configured issuers, sent
//! as bearer tokens (RFC 6750), in a cookie or in the query. The README of this crate lists the settings.
//!
//! `location` finds the token, `issuer` chooses the issuer, and `verify` verifies the token. How tokens are parsed and verified,
//! and what their claims say, is in `portcullis_tokens`, which the plugin `oidc` shares.

mod issuer;
mod location;
mod settings;
mod verify;

use std::time::Duration;

use portcullis_sdk::Authenticator;
use portcullis_sdk::Challenge;
use portcullis_sdk::Grant;
use portcullis_sdk::Refusal;
use portcullis_sdk::Request;
use portcullis_sdk::SettingsError;
use portcullis_sdk::time;
use portcullis_tokens::claims::scope;
use portcullis_tokens::claims::times::TimeRules;
use portcullis_tokens::error::TokenError;
use portcullis_tokens::identity::Mapping;
use portcullis_tokens::jws::Jws;
use portcullis_tokens::jws::Padding;
use portcullis_tokens::keys::remote::RefreshPolicy;

use verify::Verified;

pub use issuer::Issuer;
pub use location::BasicPart;
pub use location::Location;
pub use portcullis_tokens::claims::audience::AudienceMatch;
pub use portcullis_tokens::claims::path::ClaimPath;
pub use portcullis_tokens::claims::rule::Rule;
pub use portcullis_tokens::claims::rule::Scalar;
pub use portcullis_tokens::identity::FirstOf;
pub use portcullis_tokens::keys::inline::InlineKeys;
pub use portcullis_tokens::keys::secret::SecretEncoding;
pub use settings::Settings;
pub use settings::UnknownIssuer;

/// Accepts tokens of the configured issuers.
#[derive(Debug)]
pub struct Jwt {
    token_from: Vec<Location>,
    max_token_bytes: usize,
    padding: Padding,
    typ: Option<Vec<String>>,
    issuers: Vec<Issuer>,
    unknown_issuer: UnknownIssuer,
    refresh_policy: RefreshPolicy,
    times: TimeRules,
    required_claims: Vec<ClaimPath>,
    scopes: Vec<String>,
    rules: Vec<Rule>,
    mapping: Mapping,
    reuse: Duration,
    realm: String,
}

impl Authenticator for Jwt {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        let jwt = Self::from(settings);
        jwt.mapping.check()?;
        Ok(jwt)
    }

    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal> {
        self.decide(request).map_err(|error| error.refuse(self.challenge()))
    }
}

// The settings name all headers, cookies and parameters, but the metadata of an issuer names the server of its keys.
portcullis_sdk::export!(Jwt, grants = { http = ["*"] });

impl Jwt {
    fn decide(&self, request: &Request) -> Result<Grant, TokenError> {
        let token = location::find(&self.token_from, request, self.max_token_bytes)?;
        let jws = Jws::parse(&token, self.padding)?;
        let issuer = self.issuer(&jws)?;
        jws.check_type(self.typ.as_deref())?;
        let Verified { claims, remaining } =
            verify::verify(&jws, issuer, self.times, &self.refresh_policy, time::unix_seconds())?;
        claims.require(&self.required_claims)?;
        scope::check(&claims, &self.scopes)?;
        self.rules.iter().try_for_each(|rule| rule.check(&claims))?;
        let user = self.mapping.user(&claims, &issuer.user_prefix)?;
        // A token within the leeway has no remaining lifetime: it is accepted, but its decision is not reused.
        let reuse = remaining.map_or(self.reuse, |remaining| remaining.min(self.reuse));
        Ok(Grant::from(user).valid_for(reuse))
    }

    /// What is asked for: Basic credentials if a token is looked for in them and not under `Bearer`, because such clients
    /// send them only then.
    fn challenge(&self) -> Challenge {
        let is_basic = |location: &Location| matches!(location, Location::Basic(_));
        let is_scheme = |location: &Location| matches!(location, Location::Scheme { .. });
        if self.token_from.iter().any(is_basic) && !self.token_from.iter().any(is_scheme) {
            Challenge::basic(&self.realm)
        } else {
            Challenge::bearer(&self.realm)
        }
    }

    fn issuer(&self, jws: &Jws<'_>) -> Result<&Issuer, TokenError> {
        let claimed = jws.unverified_issuer()?;
        issuer::choose(&self.issuers, claimed.as_deref()).ok_or_else(|| match self.unknown_issuer {
            UnknownIssuer::Pass => TokenError::UnknownIssuerPassed,
            UnknownIssuer::Refuse => issuer::unknown(&self.issuers, claimed.as_deref()),
        })
    }
}

impl From<Settings> for Jwt {
    fn from(settings: Settings) -> Self {
        Self {
            token_from: settings.token_from,
            max_token_bytes: settings.max_token_bytes,
            padding: if settings.padded {
                Padding::Allowed
            } else {
                Padding::Forbidden
            },
            typ: settings.typ,
            issuers: settings.issuers,
            unknown_issuer: settings.unknown_issuer,
            refresh_policy: RefreshPolicy {
                cache_ttl: settings.cache_ttl.into(),
                min_refresh_interval: settings.min_refresh_interval.into(),
                stale_if_error: settings.stale_if_error.into(),
                timeout: settings.timeout.into(),
                max_bytes: settings.max_jwks_bytes,
            },
            times: TimeRules {
                leeway: settings.leeway.into(),
                max_lifetime: settings.max_lifetime.map(Into::into),
            },
            required_claims: settings.required_claims,
            scopes: settings.scopes,
            rules: settings.claims,
            mapping: Mapping {
                user: settings.user_claim,
                groups: settings.groups_claim,
                admin: settings.admin_claim,
                admin_groups: settings.admin_groups,
                attributes: settings.attributes,
            },
            reuse: settings.reuse.into(),
            realm: settings.realm,
        }
    }
}
