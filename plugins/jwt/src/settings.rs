//! The settings that the operator writes under `[authenticators.NAME.settings]`. Types validate single settings; this
//! module checks settings that depend on each other.

use std::collections::BTreeMap;

use portcullis_sdk::SettingsError;
use portcullis_sdk::settings;
use portcullis_sdk::settings::Span;
use portcullis_tokens::claims::path::ClaimPath;
use portcullis_tokens::claims::rule::Rule;
use portcullis_tokens::identity::FirstOf;
use schemars::JsonSchema;
use schemars::Schema;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::issuer::Issuer;
use crate::location::Location;

/// What happens to a token whose issuer is not configured.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnknownIssuer {
    /// The next authenticator of the chain is asked.
    Pass,
    /// The request is refused.
    #[default]
    Refuse,
}

settings! {
    /// The settings of the JWT authenticator.
    #[non_exhaustive]
    #[schemars(transform = time_for_requests)]
    pub struct Settings {
        /// The issuers whose tokens are accepted.
        pub issuers: Vec<Issuer>,
        /// What happens to a token of another issuer: `refuse` refuses it, `pass` leaves it to the next authenticator.
        #[serde(default)]
        pub unknown_issuer: UnknownIssuer,
        /// The places where the token is looked for. Each must be granted as well. Default: `Authorization: Bearer`.
        #[serde(default = "bearer")]
        #[schemars(extend("default" = [{ "header": "authorization", "scheme": "bearer" }]))]
        pub token_from: Vec<Location>,
        /// The longest accepted token, in bytes. Default: 16384.
        #[serde(default = "max_token_bytes")]
        pub max_token_bytes: usize,
        /// Accept tokens whose parts are padded with `=`, as those of AWS load balancers are, although RFC 7515 forbids it.
        #[serde(default)]
        pub padded: bool,
        /// The accepted types of token, by the `typ` in the header: `["at+jwt"]` for access tokens of RFC 9068.
        /// Default: no type, `JWT`, `at+jwt` or `JOSE`.
        pub typ: Option<Vec<String>>,
        /// The largest difference between the clocks of an issuer and the gateway. Default: 60 seconds; at most one
        /// hour.
        #[serde(default = "leeway")]
        pub leeway: Span,
        /// The longest time for which a token may be valid, both from its issue (`iat`) and from now. Default: no
        /// limit.
        pub max_lifetime: Option<Span>,
        /// Claims that a token must have, besides `exp`, `iss` and `aud`.
        #[serde(default)]
        pub required_claims: Vec<ClaimPath>,
        /// Scopes that a token must have. If one is missing, the response is 403.
        #[serde(default)]
        pub scopes: Vec<String>,
        /// Rules that the claims must satisfy. If one is broken, the response is 403.
        #[serde(default)]
        pub claims: Vec<Rule>,
        /// The claim with the user name, or several claims of which the first that is present is used. Default: `sub`.
        #[serde(default = "sub")]
        pub user_claim: FirstOf,
        /// The claim that lists the user's groups.
        pub groups_claim: Option<ClaimPath>,
        /// The claim that is `true` for an administrator.
        pub admin_claim: Option<ClaimPath>,
        /// Groups whose members are administrators. Requires `groups_claim`.
        #[serde(default)]
        pub admin_groups: Vec<String>,
        /// Further attributes of the user: their names, and the claims that they are read from.
        #[serde(default)]
        pub attributes: BTreeMap<String, ClaimPath>,
        /// The realm in the challenge to the client. Default: `portcullis`.
        #[serde(default = "realm")]
        pub realm: String,
        /// How long a decision may be reused, but never beyond the token's `exp`. A key that the issuer withdraws is
        /// trusted for that much longer. `0` forbids reuse. Default: 5 minutes.
        #[serde(default = "reuse")]
        pub reuse: Span,
        /// How long published keys are used before they are fetched again. Default: 10 minutes.
        #[serde(default = "cache_ttl")]
        pub cache_ttl: Span,
        /// The minimum time between two fetches of published keys, whatever tokens arrive. Default: 30 seconds.
        #[serde(default = "min_refresh_interval")]
        pub min_refresh_interval: Span,
        /// How long after `cache_ttl` published keys are still used while they can't be fetched. Default: 24 hours.
        #[serde(default = "stale_if_error")]
        pub stale_if_error: Span,
        /// The time limit of one request to an issuer. Keep it below half of the authenticator's deadline, since
        /// discovery takes two requests. Default: 2 seconds.
        #[serde(default = "timeout")]
        pub timeout: Span,
        /// The longest accepted response of an issuer, in bytes. Default: 1048576.
        #[serde(default = "max_jwks_bytes")]
        pub max_jwks_bytes: usize,
    }
}

/// Says in the schema how many requests in a row may take as long as `timeout`.
fn time_for_requests(schema: &mut Schema) {
    let timeout = |requests: u32| {
        let default = timeout();
        json!({ "properties": { "timeout": { "x-portcullis-requests": requests, "default": default } } })
    };
    let some_issuer = |has: Value| json!({ "not": { "properties": { "issuers": { "items": { "not": has } } } } });
    let discovers = json!({ "anyOf": [
        { "properties": { "discovery": { "const": true } }, "required": ["discovery"] },
        { "required": ["metadata_url"] },
    ] });
    schema.insert("if".to_owned(), some_issuer(discovers));
    schema.insert("then".to_owned(), timeout(2));
    let fetches = some_issuer(json!({ "anyOf": [{ "required": ["jwks_url"] }, { "required": ["key_url"] }] }));
    schema.insert("else".to_owned(), json!({ "if": fetches, "then": timeout(1) }));
}

impl Settings {
    /// Returns an error if settings contradict each other. The error names the setting.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        self.check_issuers()?;
        self.check_lists()?;
        self.check_numbers()
    }

    fn check_issuers(&self) -> Result<(), SettingsError> {
        if self.issuers.is_empty() {
            return Err("issuers: there are none, so no token could be accepted".into());
        }
        for (place, issuer) in self.issuers.iter().enumerate() {
            if self
                .issuers
                .iter()
                .take(place)
                .any(|earlier| earlier.name == issuer.name)
            {
                let name = &issuer.label;
                return Err(format!("issuers: {name} is listed twice; put all its audiences in one entry").into());
            }
        }
        Ok(())
    }

    fn check_lists(&self) -> Result<(), SettingsError> {
        if self.token_from.is_empty() {
            return Err("token_from: the list is empty; leave it out for Authorization: Bearer".into());
        }
        if has_twice(&self.token_from) {
            return Err("token_from: a place is listed twice, so every token would be found twice".into());
        }
        if self.typ.as_ref().is_some_and(Vec::is_empty) {
            return Err("typ: the list is empty, so no token could be accepted".into());
        }
        if self.scopes.iter().any(|scope| scope.is_empty() || scope.contains(' ')) {
            return Err("scopes: a scope must not be empty or contain spaces; write a list".into());
        }
        if self.realm.chars().any(char::is_control) {
            return Err("realm: it has control characters".into());
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), SettingsError> {
        let second = Span::seconds(1);
        if self.leeway > Span::seconds(3600) {
            return Err("leeway: it is more than one hour; clocks don't differ that much".into());
        }
        let spans = [
            ("cache_ttl", self.cache_ttl),
            ("max_lifetime", self.max_lifetime.unwrap_or(second)),
            ("min_refresh_interval", self.min_refresh_interval),
        ];
        if let Some((name, _)) = spans.iter().find(|(_, span)| *span < second) {
            return Err(format!("{name}: it must be at least one second").into());
        }
        if self.timeout == Span::seconds(0) {
            return Err("timeout: it must not be zero".into());
        }
        for (name, bytes) in [
            ("max_token_bytes", self.max_token_bytes),
            ("max_jwks_bytes", self.max_jwks_bytes),
        ] {
            if bytes == 0 {
                return Err(format!("{name}: it must not be zero").into());
            }
        }
        Ok(())
    }
}

fn has_twice(locations: &[Location]) -> bool {
    locations
        .iter()
        .enumerate()
        .any(|(place, location)| locations.iter().take(place).any(|earlier| earlier == location))
}

fn bearer() -> Vec<Location> {
    vec![Location::bearer()]
}

const fn max_token_bytes() -> usize {
    16 * 1024
}

const fn leeway() -> Span {
    Span::seconds(60)
}

fn sub() -> FirstOf {
    FirstOf::One(ClaimPath::of_name("sub"))
}

fn realm() -> String {
    "portcullis".to_owned()
}

const fn reuse() -> Span {
    Span::seconds(5 * 60)
}

const fn cache_ttl() -> Span {
    Span::seconds(10 * 60)
}

const fn min_refresh_interval() -> Span {
    Span::seconds(30)
}

const fn stale_if_error() -> Span {
    Span::seconds(24 * 60 * 60)
}

const fn timeout() -> Span {
    Span::seconds(2)
}

const fn max_jwks_bytes() -> usize {
    1024 * 1024
}
