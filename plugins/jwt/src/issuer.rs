//! The trusted issuers. Each has its audiences, and the keys that verify its tokens.

use portcullis_sdk::Secret;
use portcullis_sdk::crypto::Algorithm;
use portcullis_sdk::settings;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::algorithm::AlgorithmSet;
use crate::claims::Claims;
use crate::claims::audience;
use crate::claims::audience::AudienceMatch;
use crate::error::TokenError;
use crate::keys::Keys;
use crate::keys::inline;
use crate::keys::inline::InlineKeys;
use crate::keys::remote::Provider;
use crate::keys::secret::SecretEncoding;
use crate::keys::secret::SharedSecret;

settings! {
    /// One issuer. Its keys come from exactly one of `discovery`, `jwks_url`, `jwks`, `pem` and `secret`.
    #[non_exhaustive]
    #[schemars(extend(
        "if" = { "properties": { "discovery": { "const": true } }, "required": ["discovery"] },
        "then" = { "properties": { "issuer": { "x-portcullis-grant": "http" } } },
    ))]
    pub struct IssuerSettings {
        /// The issuer, exactly as in the claim `iss` of its tokens.
        pub issuer: Option<String>,
        /// Accept tokens of any issuer, or without one, if these keys verify them. Excludes `issuer`, and only one
        /// entry may have it.
        #[serde(default)]
        pub insecure_any_issuer: bool,
        /// The audiences for which tokens are accepted: the claim `aud` must name one of them.
        #[serde(default)]
        pub audiences: Vec<String>,
        /// Whether `aud` must name one of the audiences (`any`) or every one (`all`).
        #[serde(default)]
        pub audience_match: AudienceMatch,
        /// Accept tokens for any audience. Other services that receive such tokens can then use them here. Excludes
        /// `audiences`.
        #[serde(default)]
        pub insecure_any_audience: bool,
        /// Find the keys through the issuer's metadata, at `/.well-known/openid-configuration` below the issuer's URL.
        #[serde(default)]
        pub discovery: bool,
        /// The URL of a JWK Set.
        #[schemars(extend("x-portcullis-grant" = "http"))]
        pub jwks_url: Option<String>,
        /// A JWK Set as a table or as JSON, or public keys in PEM; `file:…` takes a file.
        pub jwks: Option<InlineKeys>,
        /// Public keys in PEM, or a JWK Set as JSON; `file:…` takes a file.
        pub pem: Option<String>,
        /// A secret shared by the issuer and this gateway, for HS256, HS384 and HS512: at least 32, 48 or 64 bytes.
        /// Anyone who has it can make tokens.
        pub secret: Option<Secret>,
        /// How the secret is written: `text` or `base64`.
        #[serde(default)]
        pub secret_encoding: SecretEncoding,
        /// The accepted algorithms. Default: all that the keys support. HS256, HS384 and HS512 need a `secret`.
        pub algorithms: Option<Vec<Algorithm>>,
        /// Fetch keys over `http` from another machine, although anyone on the network path can replace them.
        #[serde(default)]
        pub insecure_http: bool,
        /// Accept tokens without `exp`, which never expire.
        #[serde(default)]
        pub insecure_no_expiry: bool,
        /// A prefix for the name of each user of this issuer, such as `corp:`, so that no two issuers can name the same
        /// user.
        #[serde(default)]
        pub user_prefix: String,
    }
}

/// One issuer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(try_from = "IssuerSettings")]
#[schemars(with = "IssuerSettings")]
pub struct Issuer {
    /// `None` accepts any issuer.
    pub(crate) name: Option<String>,
    /// `None` accepts any audience.
    audiences: Option<Vec<String>>,
    audience_match: AudienceMatch,
    pub(crate) keys: Keys,
    pub(crate) algorithms: AlgorithmSet,
    pub(crate) allow_no_expiry: bool,
    pub(crate) user_prefix: String,
}

impl Issuer {
    /// The name of the issuer in log lines.
    pub(crate) fn label(&self) -> &str {
        self.name.as_deref().unwrap_or("the issuer")
    }

    /// Refuses a token of another issuer or for another audience.
    pub(crate) fn check(&self, claims: &Claims) -> Result<(), TokenError> {
        // The issuer was chosen by the unverified claim. This is the check of the verified one.
        if let Some(name) = self.name.as_deref()
            && claims.registered("iss").and_then(|iss| iss.as_str()) != Some(name)
        {
            return Err(TokenError::UnknownIssuer);
        }
        match &self.audiences {
            Some(audiences) => audience::check(claims, audiences, self.audience_match),
            None => Ok(()),
        }
    }
}

/// Returns the issuer that a token claims to be from. They are compared one by one: a lookup table would have to be
/// built for every request, which costs more.
pub(crate) fn choose<'i>(issuers: &'i [Issuer], named: Option<&str>) -> Option<&'i Issuer> {
    let by_name = issuers
        .iter()
        .find(|issuer| issuer.name.is_some() && issuer.name.as_deref() == named);
    by_name.or_else(|| issuers.iter().find(|issuer| issuer.name.is_none()))
}

impl TryFrom<IssuerSettings> for Issuer {
    type Error = String;

    fn try_from(settings: IssuerSettings) -> Result<Self, String> {
        let name = name(settings.issuer.as_deref(), settings.insecure_any_issuer)?.map(str::to_owned);
        let audiences = audiences(&settings)?.map(<[String]>::to_vec);
        if settings.user_prefix.chars().any(char::is_control) {
            return Err("user_prefix: it has control characters".to_owned());
        }
        let (audience_match, allow_no_expiry) = (settings.audience_match, settings.insecure_no_expiry);
        let (listed, user_prefix) = (settings.algorithms.clone(), settings.user_prefix.clone());
        let keys = keys(settings)?;
        let algorithms = algorithms(&keys, listed.as_deref())?;
        Ok(Self {
            name,
            audiences,
            audience_match,
            keys,
            algorithms,
            allow_no_expiry,
            user_prefix,
        })
    }
}

fn name(issuer: Option<&str>, insecure_any_issuer: bool) -> Result<Option<&str>, &'static str> {
    match (issuer, insecure_any_issuer) {
        (Some(""), _) => Err("issuer: it is empty"),
        (Some(issuer), false) => Ok(Some(issuer)),
        (None, true) => Ok(None),
        (Some(_), true) => Err("insecure_any_issuer: it contradicts issuer; remove one of them"),
        (None, false) => Err("issuer: it is missing; to accept tokens of any issuer, set insecure_any_issuer = true"),
    }
}

fn audiences(settings: &IssuerSettings) -> Result<Option<&[String]>, &'static str> {
    match (settings.audiences.as_slice(), settings.insecure_any_audience) {
        ([], true) => Ok(None),
        ([], false) => {
            Err("audiences: they are missing; to accept tokens for any audience, set insecure_any_audience = true")
        }
        (_, true) => Err("insecure_any_audience: it contradicts audiences; remove one of them"),
        (audiences, false) if audiences.iter().any(String::is_empty) => Err("audiences: one of them is empty"),
        (audiences, false) => Ok(Some(audiences)),
    }
}

fn keys(settings: IssuerSettings) -> Result<Keys, String> {
    let IssuerSettings {
        issuer,
        discovery,
        jwks_url,
        jwks,
        pem,
        secret,
        secret_encoding,
        insecure_http,
        ..
    } = settings;
    match (discovery, jwks_url, jwks, pem, secret) {
        (true, None, None, None, None) => {
            let issuer = issuer.ok_or("discovery: it needs issuer")?;
            Provider::discovered(&issuer, insecure_http).map(Keys::Remote)
        }
        (false, Some(url), None, None, None) => Provider::at(url, insecure_http).map(Keys::Remote),
        (false, None, Some(keys), None, None) => keys
            .parse()
            .map(Keys::Inline)
            .map_err(|problem| format!("jwks: {problem}")),
        (false, None, None, Some(pem), None) => inline::parse(&pem)
            .map(Keys::Inline)
            .map_err(|problem| format!("pem: {problem}")),
        (false, None, None, None, Some(secret)) => Ok(Keys::Secret(SharedSecret::new(&secret, secret_encoding)?)),
        _ => Err("an issuer needs exactly one of discovery, jwks_url, jwks, pem and secret".to_owned()),
    }
}

fn algorithms(keys: &Keys, listed: Option<&[Algorithm]>) -> Result<AlgorithmSet, &'static str> {
    let possible = match keys {
        Keys::Inline(_) | Keys::Remote(_) => AlgorithmSet::PUBLIC_KEY,
        Keys::Secret(secret) => secret.algorithms(),
    };
    let Some(listed) = listed.map(AlgorithmSet::of) else {
        return Ok(possible);
    };
    if listed.is_empty() {
        return Err("algorithms: the list is empty");
    }
    if !listed.is_subset(possible) {
        return Err(
            "algorithms: one of them is not for these keys; HS256, HS384 and HS512 need a secret of at least 32, 48 or \
            64 bytes, the others need public keys",
        );
    }
    Ok(listed)
}
