//! Where the provider is: its issuer, the metadata that it publishes (OpenID Connect Discovery 1.0), and its keys. What it says is
//! kept for an hour.

use std::time::Duration;

use portcullis_sdk::Parameters;
use portcullis_sdk::Refusal;
use portcullis_sdk::oauth::Provider;
use portcullis_tokens::issuer_name::IssuerName;
use portcullis_tokens::keys::remote;
use portcullis_tokens::keys::remote::RefreshPolicy;
use portcullis_tokens::keys::remote::url;

/// The largest set of keys, in bytes.
const MAX_KEYS: usize = 1024 * 1024;

/// Where the provider's metadata is, and whose it must be.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) issuer: IssuerName,
    pub(crate) metadata_url: String,
    pub(crate) insecure_http: bool,
    pub(crate) timeout: Duration,
}

impl Place {
    /// The provider as it describes itself.
    pub(crate) fn discover(&self) -> Result<Provider, Refusal> {
        let (name, is_issuer) = (self.issuer.to_string(), |found: &str| self.issuer.is_in_metadata(found));
        let provider = Provider::described_at(&self.metadata_url, &name, is_issuer, self.timeout)?;
        let endpoints = [
            ("authorization_endpoint", Some(&provider.authorization_endpoint)),
            ("token_endpoint", Some(&provider.token_endpoint)),
            ("jwks_uri", provider.jwks_uri.as_ref()),
            ("userinfo_endpoint", provider.userinfo_endpoint.as_ref()),
            ("end_session_endpoint", provider.end_session_endpoint.as_ref()),
            (
                "pushed_authorization_request_endpoint",
                provider.pushed_authorization_request_endpoint.as_ref(),
            ),
        ];
        for (member, endpoint) in endpoints {
            let checked = endpoint.map_or(Ok(()), |endpoint| self.check(endpoint));
            checked.map_err(|problem| Refusal::unavailable(format!("{}: {member}: {problem}", self.metadata_url)))?;
        }
        Ok(provider)
    }

    /// A provider that is reached over https has no endpoint that is reached without.
    fn check(&self, endpoint: &str) -> Result<(), &'static str> {
        url::check(endpoint, self.insecure_http)?;
        match self.metadata_url.starts_with("https:") && !endpoint.starts_with("https:") {
            true => Err("it is not https, though the metadata is"),
            false => Ok(()),
        }
    }

    /// The code of a callback. If several tenants share the provider, the answer may name each of them that is accepted.
    pub(crate) fn code<'p>(&self, provider: &Provider, parameters: &'p Parameters) -> Result<&'p str, Refusal> {
        let mut named = provider.clone();
        let issuer = parameters.get("iss").filter(|issuer| self.issuer.is(Some(issuer)));
        named.issuer = Some(issuer.map_or_else(|| self.issuer.to_string(), ToOwned::to_owned));
        Ok(named.code(parameters)?)
    }

    /// The keys of the provider, and how they are fetched.
    pub(crate) fn keys(&self, provider: &Provider) -> Result<(remote::Provider, RefreshPolicy), Refusal> {
        let missing = || Refusal::unavailable(format!("{} has no jwks_uri", self.metadata_url));
        let url = provider.jwks_uri.clone().ok_or_else(missing)?;
        let keys = remote::Provider::at(url, self.insecure_http).map_err(Refusal::unavailable)?;
        let policy = RefreshPolicy {
            cache_ttl: Duration::from_secs(10 * 60),
            min_refresh_interval: Duration::from_secs(30),
            stale_if_error: Duration::from_secs(24 * 60 * 60),
            timeout: self.timeout,
            max_bytes: MAX_KEYS,
        };
        Ok((keys, policy))
    }
}
