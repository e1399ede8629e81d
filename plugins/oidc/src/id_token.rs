//! Verifies an `id_token` (OpenID Connect Core 1.0, sections 3.1.3.7 and 12.2). Nothing in it is believed before its signature, though
//! it came over TLS.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_sdk::Refusal;
use portcullis_sdk::crypto::Algorithm;
use portcullis_sdk::oauth::Provider;
use portcullis_sdk::time;
use portcullis_tokens::claims::Claims;
use portcullis_tokens::error::TokenError;
use portcullis_tokens::jws::Jws;
use portcullis_tokens::jws::Padding;
use portcullis_tokens::text::all_quoted;
use portcullis_tokens::text::quoted;
use portcullis_tokens::text::shown;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;
use sha2::Sha384;
use sha2::Sha512;

use crate::Oidc;
use crate::refused;
use crate::wrong;

/// The largest token, in bytes. A user may be in many groups.
const MAX_TOKEN: usize = 128 * 1024;

/// What an `id_token` must fit.
#[derive(Debug)]
pub(crate) struct Expected<'e> {
    /// The nonce of the flow.
    pub(crate) nonce: &'e str,
    /// Whether it may have none: that of a refresh should not have one (section 12.2).
    pub(crate) nonce_may_be_missing: bool,
    /// The access token that came with it.
    pub(crate) access_token: &'e str,
    /// Whether the user must have authenticated within `max_age`.
    pub(crate) is_login: bool,
}

/// A signed token of the provider for us, of whatever kind. Its type, times and purpose are still to be checked.
pub(crate) struct Signed {
    pub(crate) claims: Claims,
    pub(crate) algorithm: Algorithm,
    /// The `typ` of the header.
    pub(crate) kind: Option<String>,
}

impl Oidc {
    /// The claims of an `id_token`.
    pub(crate) fn verify(&self, provider: &Provider, token: &str, expected: &Expected<'_>) -> Result<Claims, Refusal> {
        let Signed {
            claims,
            algorithm,
            kind,
        } = self.verify_signed(provider, token)?;
        // Another type is a token for another purpose (RFC 8725, section 3.11).
        if kind.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("JWT")) {
            let kind = quoted(&kind.unwrap_or_default());
            return Err(wrong(format!(
                "the id_token's type (typ) is {kind}, and must be JWT or missing"
            )));
        }
        if claims.registered("iat").is_none() {
            return Err(refused(TokenError::Claim("iat".to_owned(), "is missing")));
        }
        self.times
            .check(&claims, false, time::unix_seconds())
            .map_err(refused)?;
        subject(&claims)?;
        check_nonce(&claims, expected)?;
        check_access_token(&claims, algorithm, expected.access_token)?;
        if expected.is_login {
            self.check_authentication(&claims)?;
        }
        Ok(claims)
    }

    /// The claims of a token that the provider has signed for us.
    pub(crate) fn verify_signed(&self, provider: &Provider, token: &str) -> Result<Signed, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(wrong(format!(
                "the token has {} bytes, and at most {MAX_TOKEN} are read",
                token.len()
            )));
        }
        let jws = Jws::parse(token, Padding::Forbidden).map_err(refused)?;
        if !self.algorithms.contains(jws.algorithm) {
            return Err(wrong(format!(
                "the token is signed with {}, and must be with {} (settings: algorithms)",
                jws.algorithm, self.algorithms
            )));
        }
        let (keys, policy) = self.place.keys(provider)?;
        let name = self.place.issuer.to_string();
        keys.verify(&jws, &name, &policy).map_err(refused)?;
        let claims = Claims::from_verified(&jws.payload).map_err(refused)?;
        if !self.place.issuer.is_of(&claims) {
            return Err(wrong(format!(
                "the token's iss is {}, and must be {name} (settings: issuer, tenants)",
                found(&claims, "iss")
            )));
        }
        self.check_audience(&claims)?;
        Ok(Signed {
            algorithm: jws.algorithm,
            kind: jws.kind.clone(),
            claims,
        })
    }

    /// Section 3.1.3.7, points 3 to 5.
    fn check_audience(&self, claims: &Claims) -> Result<(), Refusal> {
        let id = self.client.id.as_str();
        let named = claims
            .strings("aud", |one| vec![one])
            .map_err(refused)?
            .unwrap_or_default();
        if !named.contains(&id) {
            return Err(wrong(format!(
                "the token's aud is {}, and must have {} (settings: client_id)",
                found(claims, "aud"),
                quoted(id)
            )));
        }
        let authorized = claims.registered("azp");
        match authorized {
            None if named.len() > 1 => Err(wrong(format!(
                "the token is for {}, and doesn't say who has asked for it (azp)",
                all_quoted(named)
            ))),
            Some(azp) if azp.as_str() != Some(id) => Err(wrong(format!(
                "the token's azp is {}, and must be {} (settings: client_id)",
                shown(azp),
                quoted(id)
            ))),
            _ => Ok(()),
        }
    }

    /// Points 12 and 13: the user has authenticated, and not too long ago.
    fn check_authentication(&self, claims: &Claims) -> Result<(), Refusal> {
        let Some(max_age) = self.max_age else { return Ok(()) };
        let at = claims.registered("auth_time").and_then(Value::as_u64);
        let at = at.ok_or_else(|| {
            wrong(format!(
                "the token's auth_time is {}, and must say when the user has authenticated (settings: max_age)",
                found(claims, "auth_time")
            ))
        })?;
        let now = time::unix_seconds();
        let latest = max_age.saturating_add(self.times.leeway).as_secs();
        let age = now.saturating_sub(at);
        if age > latest || at > now.saturating_add(self.times.leeway.as_secs()) {
            return Err(wrong(format!(
                "the user has authenticated {age} s ago, and at most {} s are allowed (settings: max_age)",
                max_age.as_secs()
            )));
        }
        Ok(())
    }
}

/// The subject, which never changes and belongs to nobody else of the issuer (section 5.7).
pub(crate) fn subject(claims: &Claims) -> Result<&str, Refusal> {
    let subject = claims.registered("sub").and_then(Value::as_str);
    // Section 2: at most 255 characters.
    let subject = subject.filter(|subject| (1..=255).contains(&subject.len()));
    subject.ok_or_else(|| {
        wrong(format!(
            "sub is {}, and must be a text of 1 to 255 bytes",
            found(claims, "sub")
        ))
    })
}

fn check_nonce(claims: &Claims, expected: &Expected<'_>) -> Result<(), Refusal> {
    match claims.registered("nonce") {
        None if expected.nonce_may_be_missing => Ok(()),
        Some(Value::String(nonce)) if nonce == expected.nonce => Ok(()),
        None => Err(wrong("the id_token has no nonce, and must have that of this attempt")),
        Some(_) => Err(wrong("the id_token's nonce is not that of this attempt")),
    }
}

/// Section 3.1.3.8: the left half of the access token's hash.
fn check_access_token(claims: &Claims, algorithm: Algorithm, access_token: &str) -> Result<(), Refusal> {
    let Some(found) = claims.registered("at_hash") else {
        return Ok(());
    };
    let hash = match algorithm {
        Algorithm::Es384 | Algorithm::Hs384 | Algorithm::Ps384 | Algorithm::Rs384 => {
            Sha384::digest(access_token).to_vec()
        }
        Algorithm::Ed25519 | Algorithm::Es512 | Algorithm::Hs512 | Algorithm::Ps512 | Algorithm::Rs512 => {
            Sha512::digest(access_token).to_vec()
        }
        _ => Sha256::digest(access_token).to_vec(),
    };
    let half = hash.get(..hash.len() / 2).unwrap_or_default();
    match found.as_str() == Some(&BASE64_URL_SAFE_NO_PAD.encode(half)) {
        true => Ok(()),
        false => Err(wrong(
            "the id_token's at_hash is not that of the access token beside it",
        )),
    }
}

/// What a claim is, for an error.
pub(crate) fn found(claims: &Claims, name: &str) -> String {
    claims.registered(name).map_or_else(|| "missing".to_owned(), shown)
}
