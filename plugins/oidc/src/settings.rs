//! The settings that the operator writes. Those about claims are the ones of `jwt`, and mean the same.

use std::collections::BTreeMap;

use portcullis_sdk::crypto::Algorithm;
use portcullis_sdk::oauth::Client;
use portcullis_sdk::oauth::ClientAuthentication;
use portcullis_sdk::oauth::ClientKey;
use portcullis_sdk::prelude::*;
use portcullis_sdk::settings::Span;
use portcullis_tokens::algorithm::AlgorithmSet;
use portcullis_tokens::claims::path::ClaimPath;
use portcullis_tokens::claims::rule::Rule;
use portcullis_tokens::claims::times::TimeRules;
use portcullis_tokens::identity::FirstOf;
use portcullis_tokens::identity::Mapping;
use portcullis_tokens::issuer_name::IssuerName;
use portcullis_tokens::keys::remote::url;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::Oidc;
use crate::login::Ask;
use crate::logout::EndSession;
use crate::provider::Place;

/// Parameters that the flow sets itself.
const RESERVED: [&str; 14] = [
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "max_age",
    "nonce",
    "prompt",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

/// Whom the signature of `private_key_jwt` is for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[non_exhaustive]
pub enum AssertionAudience {
    /// The issuer.
    #[default]
    Issuer,
    /// The token endpoint, as some providers expect.
    TokenEndpoint,
}

settings! {
    /// The settings of the login `oidc`.
    #[non_exhaustive]
    #[schemars(extend(
        "if" = { "required": ["metadata_url"] },
        "else" = { "properties": { "issuer": { "x-portcullis-grant": "http" } } },
    ))]
    pub struct Settings {
        /// The issuer, exactly as in its metadata and its tokens. If it names a tenant, a claim in braces stands for its id:
        /// `https://login.microsoftonline.com/{tid}/v2.0`.
        pub issuer: String,
        /// The tenants whose users may log in, if `issuer` has a place for one.
        pub tenants: Option<Vec<String>>,
        /// Let users of all tenants in, of which anyone may have one. Excludes `tenants`.
        #[serde(default)]
        pub insecure_any_tenant: bool,
        /// The URL of the provider's metadata, if it isn't `/.well-known/openid-configuration` below the issuer.
        #[schemars(extend("x-portcullis-grant" = "http"))]
        pub metadata_url: Option<String>,
        /// Who we are at the provider.
        pub client_id: String,
        /// Our secret there. Leave it out if the gateway adds it to the plugin's requests (`http_headers`), or if a key
        /// signs.
        pub client_secret: Option<Secret>,
        /// How we prove who we are: `client_secret_basic`, `client_secret_post`, `private_key_jwt` or `none`. Default:
        /// `private_key_jwt` with a `signing_key`, else `client_secret_basic`.
        pub token_endpoint_auth_method: Option<ClientAuthentication>,
        /// The key that signs for us, by its name in the grants.
        #[schemars(extend("x-portcullis-grant" = "signing"))]
        pub signing_key: Option<String>,
        /// The algorithm of these signatures. Default: RS256.
        #[serde(default = "rs256")]
        #[schemars(extend("default" = "RS256"))]
        pub signing_algorithm: Algorithm,
        /// The key's id at the provider (`kid`).
        pub signing_key_id: Option<String>,
        /// The SHA-256 hash of the key's certificate, in base64url (`x5t#S256`).
        pub signing_certificate_hash: Option<String>,
        /// Whom the signature is for: `issuer` or `token_endpoint`.
        #[serde(default)]
        pub assertion_audience: AssertionAudience,
        /// The scopes that are asked for, separated by spaces. `openid` must be among them. Default: `openid profile email`.
        #[serde(default = "scope")]
        #[schemars(extend("default" = "openid profile email"))]
        pub scope: String,
        /// What the provider asks the user anew at each login: `login`, `select_account`, `consent`.
        pub prompt: Option<String>,
        /// How long ago the user may have authenticated at the provider when they log in here.
        pub max_age: Option<Span>,
        /// Further parameters of the request, such as `hd`, `acr_values` or `access_type`.
        #[serde(default)]
        pub authorization_parameters: BTreeMap<String, String>,
        /// Send the request's parameters to the provider in advance (RFC 9126), even if its metadata doesn't require it.
        #[serde(default)]
        pub pushed_authorization_requests: bool,
        /// The algorithms with which the provider may sign. Default: all that public keys have.
        pub algorithms: Option<Vec<Algorithm>>,
        /// The largest difference between the clocks of the provider and the gateway, at most one hour. Default: 60 seconds.
        #[serde(default = "leeway")]
        pub leeway: Span,
        /// Ask the provider's userinfo for claims that the `id_token` lacks.
        #[serde(default)]
        pub userinfo: bool,
        /// After how long a session is renewed: a change of groups counts by then. Default: 15 minutes.
        #[serde(default = "valid_for")]
        pub valid_for: Span,
        /// Renew sessions with refresh tokens, without the browser, instead of by a silent flow.
        #[serde(default)]
        pub refresh_tokens: bool,
        /// Whether a logout here goes on at the provider.
        #[serde(default = "yes")]
        #[schemars(extend("default" = true))]
        pub end_session: bool,
        /// Where the provider signs users out, if its metadata doesn't say it.
        #[schemars(extend("x-portcullis-grant" = "login"))]
        pub end_session_endpoint: Option<String>,
        /// The parameter that says there where the browser goes then. Default: `post_logout_redirect_uri`.
        #[serde(default = "post_logout_redirect_uri")]
        #[schemars(extend("default" = "post_logout_redirect_uri"))]
        pub end_session_return_parameter: String,
        /// Keep the `id_token` in the session, for providers that ask the user at a logout without it.
        #[serde(default)]
        pub id_token_hint: bool,
        /// Claims that there must be.
        #[serde(default)]
        pub required_claims: Vec<ClaimPath>,
        /// Rules that the claims must satisfy. If one is broken, the response is 403.
        #[serde(default)]
        pub claims: Vec<Rule>,
        /// The claim with the user name, or several claims of which the first that is present is used. Default: `sub`.
        #[serde(default = "sub")]
        pub user_claim: FirstOf,
        /// A prefix for the name of each user, such as `corp:`, so that no two providers can name the same user.
        #[serde(default)]
        pub user_prefix: String,
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
        /// The time limit of one request to the provider. Default: 2 seconds.
        #[serde(default = "timeout")]
        #[schemars(extend("x-portcullis-requests" = 2))]
        pub timeout: Span,
        /// Talk to the provider over `http` on another machine, although anyone on the network path can replace its answers.
        #[serde(default)]
        pub insecure_http: bool,
    }
}

impl Settings {
    /// Makes the plugin of the settings, if they don't contradict each other.
    pub(crate) fn into_plugin(self) -> Result<Oidc, SettingsError> {
        self.check()?;
        let (place, client) = (self.place()?, self.client()?);
        let algorithms = self.algorithms()?;
        let mapping = Mapping {
            user: self.user_claim,
            groups: self.groups_claim,
            admin: self.admin_claim,
            admin_groups: self.admin_groups,
            attributes: self.attributes,
        };
        mapping.check()?;
        Ok(Oidc {
            place,
            client,
            ask: Ask {
                scope: self.scope,
                prompt: self.prompt,
                parameters: self.authorization_parameters,
                push: self.pushed_authorization_requests,
            },
            algorithms,
            times: TimeRules {
                leeway: self.leeway.into(),
                max_lifetime: None,
            },
            max_age: self.max_age.map(Into::into),
            userinfo: self.userinfo,
            valid_for: self.valid_for.into(),
            refresh_tokens: self.refresh_tokens,
            end_session: EndSession {
                is_used: self.end_session,
                endpoint: self.end_session_endpoint,
                return_parameter: self.end_session_return_parameter,
                hints: self.id_token_hint,
            },
            required_claims: self.required_claims,
            rules: self.claims,
            mapping,
            user_prefix: self.user_prefix,
        })
    }

    fn check(&self) -> Result<(), SettingsError> {
        if !self.scope.split(' ').any(|scope| scope == "openid") {
            return Err("scope: it must have openid, or the provider does not say who has logged in".into());
        }
        if let Some(name) = self
            .authorization_parameters
            .keys()
            .find(|name| RESERVED.contains(&name.as_str()))
        {
            return Err(format!(
                "authorization_parameters: {name} is set by the login itself, or by a setting of its own"
            )
            .into());
        }
        if self.prompt.as_deref() == Some("none") {
            return Err("prompt: with none nobody could log in who hasn't at the provider".into());
        }
        if self.leeway > Span::seconds(3600) {
            return Err("leeway: it is more than one hour; clocks don't differ that much".into());
        }
        for (name, span) in [("timeout", self.timeout), ("valid_for", self.valid_for)] {
            if span < Span::seconds(1) {
                return Err(format!("{name}: it must be at least one second").into());
            }
        }
        if self.user_prefix.chars().any(char::is_control) {
            return Err("user_prefix: it has control characters".into());
        }
        if !self.end_session && (self.end_session_endpoint.is_some() || self.id_token_hint) {
            return Err(
                "end_session: with false, end_session_endpoint and id_token_hint have no effect; remove them".into(),
            );
        }
        Ok(())
    }

    fn place(&self) -> Result<Place, SettingsError> {
        let issuer = IssuerName::parse(&self.issuer, self.tenants.clone(), self.insecure_any_tenant)?;
        let checked = |name: &str, at: &str| {
            url::check(at, self.insecure_http).map_err(|problem| SettingsError::from(format!("{name}: {problem}")))
        };
        let metadata_url = match &self.metadata_url {
            Some(url) => {
                checked("metadata_url", url)?;
                url.clone()
            }
            None if issuer.has_tenants() => {
                return Err("metadata_url: an issuer with a place for a tenant needs it, such as \
                            https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration"
                    .into());
            }
            None => {
                checked("issuer", &self.issuer)?;
                format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'))
            }
        };
        if let Some(endpoint) = &self.end_session_endpoint {
            checked("end_session_endpoint", endpoint)?;
        }
        Ok(Place {
            issuer,
            metadata_url,
            insecure_http: self.insecure_http,
            timeout: self.timeout.into(),
        })
    }

    fn client(&self) -> Result<Client, SettingsError> {
        if self.client_id.is_empty() {
            return Err("client_id: it is empty".into());
        }
        let client = Client::new(&self.client_id, self.client_secret.clone()).timeout(self.timeout.into());
        let method = self.token_endpoint_auth_method;
        match (method, &self.signing_key, &self.client_secret) {
            (Some(ClientAuthentication::PrivateKeyJwt), None, _) => {
                Err("signing_key: token_endpoint_auth_method = \"private_key_jwt\" needs it".into())
            }
            (Some(ClientAuthentication::PrivateKeyJwt) | None, Some(key), None) => Ok(client.signed_by(self.key(key))),
            (_, Some(_), _) => Err(
                "signing_key: it signs with token_endpoint_auth_method = \"private_key_jwt\" only, and \
                                    without a client_secret"
                    .into(),
            ),
            (Some(ClientAuthentication::Post), None, None) => {
                Err("client_secret: token_endpoint_auth_method = \"client_secret_post\" needs it".into())
            }
            (Some(ClientAuthentication::None), None, Some(_)) => Err(
                "client_secret: with token_endpoint_auth_method = \"none\" it is not used; remove one of them".into(),
            ),
            (method, None, _) => Ok(client.authentication(method.unwrap_or_default())),
        }
    }

    fn key(&self, name: &str) -> ClientKey {
        let mut key = ClientKey::new(name, self.signing_algorithm);
        key.id.clone_from(&self.signing_key_id);
        key.thumbprint.clone_from(&self.signing_certificate_hash);
        key.for_token_endpoint = self.assertion_audience == AssertionAudience::TokenEndpoint;
        key
    }

    /// Only public keys: whoever has the secret of a client could make tokens.
    fn algorithms(&self) -> Result<AlgorithmSet, SettingsError> {
        let Some(listed) = self.algorithms.as_deref().map(AlgorithmSet::of) else {
            return Ok(AlgorithmSet::PUBLIC_KEY);
        };
        match !listed.is_empty() && listed.is_subset(AlgorithmSet::PUBLIC_KEY) {
            true => Ok(listed),
            false => Err(format!("algorithms: expected some of {}", AlgorithmSet::PUBLIC_KEY).into()),
        }
    }
}

const fn rs256() -> Algorithm {
    Algorithm::Rs256
}

fn scope() -> String {
    "openid profile email".to_owned()
}

const fn leeway() -> Span {
    Span::seconds(60)
}

const fn valid_for() -> Span {
    Span::seconds(15 * 60)
}

const fn yes() -> bool {
    true
}

fn post_logout_redirect_uri() -> String {
    "post_logout_redirect_uri".to_owned()
}

fn sub() -> FirstOf {
    FirstOf::One(ClaimPath::of_name("sub"))
}

const fn timeout() -> Span {
    Span::seconds(2)
}
