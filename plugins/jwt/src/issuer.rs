//! The trusted issuers. Each has its audiences, and the keys that verify its tokens.

use std::collections::BTreeMap;

use portcullis_sdk::Secret;
use portcullis_sdk::crypto::Algorithm;
use portcullis_sdk::settings;
use portcullis_tokens::algorithm::AlgorithmSet;
use portcullis_tokens::claims::Claims;
use portcullis_tokens::claims::audience;
use portcullis_tokens::claims::audience::AudienceMatch;
use portcullis_tokens::claims::path::ClaimPath;
use portcullis_tokens::error::TokenError;
use portcullis_tokens::issuer_name::IssuerName;
use portcullis_tokens::jws::Jws;
use portcullis_tokens::keys::Keys;
use portcullis_tokens::keys::inline;
use portcullis_tokens::keys::inline::InlineKeys;
use portcullis_tokens::keys::remote::Provider;
use portcullis_tokens::keys::remote::by_id::KeysById;
use portcullis_tokens::keys::secret::SecretEncoding;
use portcullis_tokens::keys::secret::SharedSecret;
use portcullis_tokens::text::one_of;
use portcullis_tokens::text::quoted;
use schemars::JsonSchema;
use serde::Deserialize;

settings! {
    /// One issuer. Its keys come from exactly one of `discovery`, `metadata_url`, `jwks_url`, `key_url`,
    /// `jwks`, `pem` and `secret`.
    #[non_exhaustive]
    #[schemars(extend(
        "if" = { "properties": { "discovery": { "const": true } }, "required": ["discovery"] },
        "then" = { "properties": { "issuer": { "x-portcullis-grant": "http" } } },
    ))]
    pub struct IssuerSettings {
        /// The issuer, exactly as in the claim `iss` of its tokens. If it names a tenant, a claim in braces stands for its
        /// id: `https://login.microsoftonline.com/{tid}/v2.0`.
        pub issuer: Option<String>,
        /// The tenants whose tokens are accepted, if `issuer` has a place for one.
        pub tenants: Option<Vec<String>>,
        /// Accept tokens of all tenants, of which anyone may have one. Excludes `tenants`.
        #[serde(default)]
        pub insecure_any_tenant: bool,
        /// Accept tokens of any issuer, or without one, if these keys verify them. Excludes `issuer`, and only one
        /// entry may have it.
        #[serde(default)]
        pub insecure_any_issuer: bool,
        /// Members of the token's header (JOSE), and the texts that they must be: the `signer` of tokens of AWS load
        /// balancers, which have no audience. Replaces `audiences`, if those are missing.
        #[serde(default)]
        pub required_header: BTreeMap<String, String>,
        /// The audiences for which tokens are accepted: the claim `aud` must name one of them.
        #[serde(default)]
        pub audiences: Vec<String>,
        /// The claim that names the audience, if it isn't `aud`: access tokens of AWS Cognito have `client_id`, those of
        /// some others `azp`.
        #[serde(default = "aud")]
        #[schemars(extend("default" = "aud"))]
        pub audience_claim: ClaimPath,
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
        /// The URL of the issuer's metadata, if it isn't below the issuer's URL. Its `issuer` must be this one.
        #[schemars(extend("x-portcullis-grant" = "http"))]
        pub metadata_url: Option<String>,
        /// The URL of a JWK Set.
        #[schemars(extend("x-portcullis-grant" = "http"))]
        pub jwks_url: Option<String>,
        /// The URL of one key, in PEM or as a JWK, with `{kid}` where its id stands: load balancers of AWS publish keys so.
        #[schemars(extend("x-portcullis-grant" = "http"))]
        pub key_url: Option<String>,
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
    pub(crate) name: IssuerName,
    /// The name in log lines.
    pub(crate) label: String,
    /// `None` accepts any audience.
    audiences: Option<Vec<String>>,
    audience_claim: ClaimPath,
    audience_match: AudienceMatch,
    pub(crate) keys: Keys,
    pub(crate) algorithms: AlgorithmSet,
    pub(crate) allow_no_expiry: bool,
    pub(crate) user_prefix: String,
    required_header: BTreeMap<String, String>,
}

impl Issuer {
    /// Refuses a token whose header isn't the required one.
    pub(crate) fn check_header(&self, jws: &Jws<'_>) -> Result<(), TokenError> {
        self.required_header
            .iter()
            .try_for_each(|(name, expected)| jws.require(name, expected))
    }

    /// Refuses a token of another issuer or for another audience.
    pub(crate) fn check(&self, claims: &Claims) -> Result<(), TokenError> {
        // The issuer was chosen by the unverified claim. This is the check of the verified one.
        if !self.name.is_of(claims) {
            return Err(unknown(
                std::slice::from_ref(self),
                claims.registered("iss").and_then(|iss| iss.as_str()),
            ));
        }
        match &self.audiences {
            Some(audiences) => audience::check(claims, &self.audience_claim, audiences, self.audience_match),
            None => Ok(()),
        }
    }
}

/// Returns the issuer that a token claims to be from. They are compared one by one: a lookup table would have to be
/// built for every request, which costs more.
pub(crate) fn choose<'i>(issuers: &'i [Issuer], named: Option<&str>) -> Option<&'i Issuer> {
    let exact = |issuer: &&Issuer| matches!(issuer.name, IssuerName::Exact(_)) && issuer.name.is(named);
    let tenant = |issuer: &&Issuer| matches!(issuer.name, IssuerName::Tenant(_)) && issuer.name.is(named);
    let any = |issuer: &&Issuer| matches!(issuer.name, IssuerName::Any);
    let found = issuers.iter().find(exact).or_else(|| issuers.iter().find(tenant));
    found.or_else(|| issuers.iter().find(any))
}

/// The error about a token whose issuer isn't among these.
pub(crate) fn unknown(issuers: &[Issuer], found: Option<&str>) -> TokenError {
    let names = || issuers.iter().map(|issuer| issuer.label.as_str());
    let bare = |name: &str| name.trim_end_matches('/').to_owned();
    let differs_by_slash = found.is_some_and(|found| names().any(|name| bare(name) == bare(found)));
    let differs_by_tenant =
        found.is_some_and(|found| issuers.iter().any(|issuer| issuer.name.is_but_for_tenant(found)));
    TokenError::UnknownIssuer {
        found: found.map_or_else(|| "missing".to_owned(), quoted),
        expected: one_of(names()),
        hint: match (differs_by_slash, differs_by_tenant) {
            (true, _) => "; they differ by a slash at the end",
            (_, true) => "; its tenant is not among the settings' tenants, or not that of the claim in braces",
            _ => "",
        },
    }
}

impl TryFrom<IssuerSettings> for Issuer {
    type Error = String;

    fn try_from(settings: IssuerSettings) -> Result<Self, String> {
        let name = name(&settings)?;
        let audiences = audiences(&settings)?.map(<[String]>::to_vec);
        if settings.user_prefix.chars().any(char::is_control) {
            return Err("user_prefix: it has control characters".to_owned());
        }
        let audience_claim = settings.audience_claim.clone();
        let (audience_match, allow_no_expiry) = (settings.audience_match, settings.insecure_no_expiry);
        let (listed, user_prefix) = (settings.algorithms.clone(), settings.user_prefix.clone());
        let required_header = settings.required_header.clone();
        let keys = keys(settings)?;
        let algorithms = algorithms(&keys, listed.as_deref())?;
        Ok(Self {
            label: name.to_string(),
            name,
            audiences,
            audience_claim,
            audience_match,
            keys,
            algorithms,
            allow_no_expiry,
            user_prefix,
            required_header,
        })
    }
}

fn aud() -> ClaimPath {
    ClaimPath::of_name("aud")
}

fn name(settings: &IssuerSettings) -> Result<IssuerName, &'static str> {
    match (&settings.issuer, settings.insecure_any_issuer) {
        (Some(issuer), false) => IssuerName::parse(issuer, settings.tenants.clone(), settings.insecure_any_tenant),
        (None, true) if settings.tenants.is_none() && !settings.insecure_any_tenant => Ok(IssuerName::Any),
        (None, true) => Err("tenants: they need an issuer with a place for a tenant, such as {tid}"),
        (Some(_), true) => Err("insecure_any_issuer: it contradicts issuer; remove one of them"),
        (None, false) => Err("issuer: it is missing; to accept tokens of any issuer, set insecure_any_issuer = true"),
    }
}

fn audiences(settings: &IssuerSettings) -> Result<Option<&[String]>, &'static str> {
    match (settings.audiences.as_slice(), settings.insecure_any_audience) {
        ([], true) => Ok(None),
        ([], false) if !settings.required_header.is_empty() => Ok(None),
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
        metadata_url,
        jwks_url,
        key_url,
        jwks,
        pem,
        secret,
        secret_encoding,
        insecure_http,
        ..
    } = settings;
    match (discovery, metadata_url, jwks_url, key_url, jwks, pem, secret) {
        (true, None, None, None, None, None, None) => {
            let issuer = issuer.ok_or("discovery: it needs issuer")?;
            if issuer.contains('{') {
                return Err(
                    "discovery: the metadata of an issuer with a place for a tenant is elsewhere: set metadata_url, \
                            such as https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration"
                        .to_owned(),
                );
            }
            Provider::discovered(&issuer, insecure_http).map(Keys::Remote)
        }
        (false, Some(url), None, None, None, None, None) => {
            let issuer = issuer.ok_or("metadata_url: it needs issuer")?;
            Provider::described_at(&issuer, url, insecure_http).map(Keys::Remote)
        }
        (false, None, Some(url), None, None, None, None) => Provider::at(url, insecure_http).map(Keys::Remote),
        (false, None, None, Some(url), None, None, None) => KeysById::at(&url, insecure_http).map(Keys::ById),
        (false, None, None, None, Some(keys), None, None) => keys
            .parse()
            .map(Keys::Inline)
            .map_err(|problem| format!("jwks: {problem}")),
        (false, None, None, None, None, Some(pem), None) => inline::parse(&pem)
            .map(Keys::Inline)
            .map_err(|problem| format!("pem: {problem}")),
        (false, None, None, None, None, None, Some(secret)) => {
            Ok(Keys::Secret(SharedSecret::new(&secret, secret_encoding)?))
        }
        _ => Err(
            "an issuer needs exactly one of discovery, metadata_url, jwks_url, key_url, jwks, pem and secret"
                .to_owned(),
        ),
    }
}

fn algorithms(keys: &Keys, listed: Option<&[Algorithm]>) -> Result<AlgorithmSet, &'static str> {
    let possible = match keys {
        Keys::ById(_) | Keys::Inline(_) | Keys::Remote(_) => AlgorithmSet::PUBLIC_KEY,
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
