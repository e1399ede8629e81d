//! Fetches the keys of an issuer. With discovery, the issuer's metadata is fetched first, to find their URL. The
//! responses are checked strictly, since a wrong one would decide who is let in.

use portcullis_sdk::http;
use serde::Deserialize;

use super::Origin;
use super::Provider;
use super::REDIRECTS;
use super::RefreshPolicy;
use super::url;
use crate::issuer_name::is_same_in_metadata;
use crate::keys::set::KeySet;
use crate::text::quoted;

/// Fetches the keys. An error names the URL that failed and the reason.
pub(super) fn key_set(provider: &Provider, policy: &RefreshPolicy) -> Result<KeySet<'static>, String> {
    let jwks_url = match &provider.origin {
        Origin::Discovery { issuer, metadata_url } => discover(issuer, metadata_url, provider.insecure_http, policy)?,
        Origin::Url(url) => url.clone(),
    };
    let body = get(&jwks_url, policy)?;
    KeySet::parse(&body)
        .map(KeySet::into_owned)
        .map_err(|problem| format!("{jwks_url}: {problem}"))
}

/// Reads the URL of the keys from the issuer's metadata (OpenID Connect Discovery 1.0, section 4).
fn discover(issuer: &str, metadata_url: &str, insecure_http: bool, policy: &RefreshPolicy) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: String,
    }
    let body = get(metadata_url, policy)?;
    let metadata: Metadata =
        serde_json::from_str(&body).map_err(|_| format!("{metadata_url}: it has no issuer or no jwks_uri"))?;
    // Section 4.3: the two must be identical, or the keys of one issuer would verify the tokens of another.
    if !is_same_in_metadata(issuer, &metadata.issuer) {
        return Err(format!(
            "{metadata_url}: its issuer is {}, and {} is configured",
            quoted(&metadata.issuer),
            quoted(issuer)
        ));
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
        .same_origin_redirects(REDIRECTS)
        .header("accept", "application/json")
        .timeout(policy.timeout);
    let answer = request
        .max_body(policy.max_bytes)
        .send()
        .map_err(|error| format!("{url}: {error}"))?;
    // A redirect to another server is not followed: the settings don't name it.
    if answer.status != 200 {
        return Err(format!("{url}: it answered {}, not 200", answer.status));
    }
    String::from_utf8(answer.body).map_err(|_| format!("{url}: the answer is not UTF-8"))
}
