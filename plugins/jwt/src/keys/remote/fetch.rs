//! Fetching an issuer's keys: its metadata first where they say where the keys are, then the keys. Everything about the
//! answers is checked, as a wrong one would decide who comes in.

use portcullis_sdk::http;
use serde::Deserialize;

use super::Freshness;
use super::Origin;
use super::Provider;
use super::url;
use crate::keys::set::KeySet;

/// Fetches the keys. The error says which URL failed and why.
pub(super) fn key_set(provider: &Provider, freshness: &Freshness) -> Result<KeySet<'static>, String> {
    let jwks_url = match &provider.origin {
        Origin::Discovery(issuer) => discover(issuer, provider.insecure_http, freshness)?,
        Origin::Url(url) => url.clone(),
    };
    let body = get(&jwks_url, freshness)?;
    KeySet::parse(&body)
        .map(KeySet::into_owned)
        .map_err(|problem| format!("{jwks_url}: {problem}"))
}

/// Where the issuer's metadata say that the keys are (OpenID Connect Discovery 1.0, section 4).
fn discover(issuer: &str, insecure_http: bool, freshness: &Freshness) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: String,
    }
    let metadata_url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let body = get(&metadata_url, freshness)?;
    let metadata: Metadata =
        serde_json::from_str(&body).map_err(|_| format!("{metadata_url}: it has no issuer or no jwks_uri"))?;
    // Section 4.3: they must be identical, or one issuer's keys would vouch for another's tokens.
    if metadata.issuer != issuer {
        return Err(format!("{metadata_url}: its issuer is not the configured one"));
    }
    url::check(&metadata.jwks_uri, insecure_http).map_err(|problem| format!("{metadata_url}: jwks_uri: {problem}"))?;
    if issuer.starts_with("https:") && !metadata.jwks_uri.starts_with("https:") {
        return Err(format!(
            "{metadata_url}: jwks_uri: it is not https, though the issuer is"
        ));
    }
    Ok(metadata.jwks_uri)
}

fn get(url: &str, freshness: &Freshness) -> Result<String, String> {
    // The keys have a cache of their own here: whoever comes this far needs newer ones than any other cache has.
    let request = http::get(url)
        .fresh()
        .header("accept", "application/json")
        .timeout(freshness.timeout);
    let answer = request
        .max_body(freshness.max_bytes)
        .send()
        .map_err(|error| format!("{url}: {error}"))?;
    // A redirect is not followed: it could lead to a place that the settings don't name.
    if answer.status != 200 {
        return Err(format!("{url}: it answered {}, not 200", answer.status));
    }
    String::from_utf8(answer.body).map_err(|_| format!("{url}: the answer is not UTF-8"))
}
