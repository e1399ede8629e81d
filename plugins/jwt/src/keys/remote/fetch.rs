//! Fetches the keys of an issuer. With discovery, the issuer's metadata is fetched first, to find their URL. The
//! responses are checked strictly, since a wrong one would decide who is let in.

use portcullis_sdk::http;
use serde::Deserialize;

use super::Origin;
use super::Provider;
use super::RefreshPolicy;
use super::url;
use crate::keys::set::KeySet;

/// Fetches the keys. An error names the URL that failed and the reason.
pub(super) fn key_set(provider: &Provider, policy: &RefreshPolicy) -> Result<KeySet<'static>, String> {
    let jwks_url = match &provider.origin {
        Origin::Discovery(issuer) => discover(issuer, provider.insecure_http, policy)?,
        Origin::Url(url) => url.clone(),
    };
    let body = get(&jwks_url, policy)?;
    KeySet::parse(&body)
        .map(KeySet::into_owned)
        .map_err(|problem| format!("{jwks_url}: {problem}"))
}

/// Reads the URL of the keys from the issuer's metadata (OpenID Connect Discovery 1.0, section 4).
fn discover(issuer: &str, insecure_http: bool, policy: &RefreshPolicy) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: String,
    }
    let metadata_url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let body = get(&metadata_url, policy)?;
    let metadata: Metadata =
        serde_json::from_str(&body).map_err(|_| format!("{metadata_url}: it has no issuer or no jwks_uri"))?;
    // Section 4.3: the two must be identical, or the keys of one issuer would verify the tokens of another.
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

fn get(url: &str, policy: &RefreshPolicy) -> Result<String, String> {
    // The keys are already cached by this plugin: a fetch needs newer ones than any other cache has.
    let request = http::get(url)
        .fresh()
        .header("accept", "application/json")
        .timeout(policy.timeout);
    let answer = request
        .max_body(policy.max_bytes)
        .send()
        .map_err(|error| format!("{url}: {error}"))?;
    // Redirects are not followed, since they could lead to a server that the settings don't name.
    if answer.status != 200 {
        return Err(format!("{url}: it answered {}, not 200", answer.status));
    }
    String::from_utf8(answer.body).map_err(|_| format!("{url}: the answer is not UTF-8"))
}
