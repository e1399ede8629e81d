//! The authorization code flow (OpenID Connect Core 1.0, section 3.1), with PKCE and a nonce. A session is renewed by a silent flow,
//! or with a refresh token.

use std::collections::BTreeMap;

use portcullis_sdk::Arrival;
use portcullis_sdk::Departure;
use portcullis_sdk::Flow;
use portcullis_sdk::Login;
use portcullis_sdk::Parameters;
use portcullis_sdk::cache;
use portcullis_sdk::log;
use portcullis_sdk::oauth::Attempt;
use portcullis_sdk::oauth::Provider;
use portcullis_sdk::oauth::Tokens;
use portcullis_sdk::prelude::*;
use portcullis_tokens::claims::Claims;

use crate::Oidc;
use crate::id_token::Expected;
use crate::id_token::subject;
use crate::kept::Kept;
use crate::wrong;

/// The longest handle, in bytes.
const MAX_HANDLE: usize = 128;

/// What we ask the provider for.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) scope: String,
    pub(crate) prompt: Option<String>,
    pub(crate) parameters: BTreeMap<String, String>,
    /// Whether we push our requests even if the provider doesn't want that.
    pub(crate) push: bool,
}

impl Login for Oidc {
    fn begin(&self, flow: &Flow) -> Result<Departure, Refusal> {
        let provider = self.place.discover()?;
        let attempt = Attempt::new();
        let mut request = provider.authorization_request(&self.client, flow, &attempt);
        for (name, value) in &self.ask.parameters {
            request = request.with(name, value);
        }
        request = request.scope(&self.ask.scope).nonce(&attempt);
        if let Some(prompt) = self.ask.prompt.as_ref().filter(|_| !flow.silent) {
            request = request.with("prompt", prompt);
        }
        if let Some(max_age) = self.max_age {
            request = request.with("max_age", &max_age.as_secs().to_string());
        }
        if self.ask.push || provider.wants_requests_pushed {
            request = self.client.push(&provider, &request)?;
        }
        Ok(Departure::to(request.url()).with_memo(attempt.to_memo()))
    }

    fn finish(&self, flow: &Flow, memo: &[u8], parameters: &Parameters) -> Result<Arrival, Refusal> {
        let provider = self.place.discover()?;
        let code = self.place.code(&provider, parameters)?;
        let attempt = Attempt::from_memo(memo)?;
        let tokens = self.client.exchange(&provider, flow, &attempt, code)?;
        let missing = "the provider's token endpoint gave no id_token: does the scope have openid, and is this a client of \
                       OpenID Connect?";
        let id_token = tokens
            .id_token
            .as_deref()
            .ok_or_else(|| Refusal::unavailable(missing))?;
        let expected = Expected {
            nonce: attempt.nonce(),
            nonce_may_be_missing: false,
            access_token: &tokens.access_token,
            is_login: true,
        };
        let claims = self.verify(&provider, id_token, &expected)?;
        let kept = Kept {
            subject: subject(&claims)?.to_owned(),
            nonce: attempt.nonce().to_owned(),
            ..Kept::default()
        };
        self.arrival(&provider, Some(claims), &tokens, kept)
    }

    fn renew(&self, keep: &[u8]) -> Result<Arrival, Refusal> {
        let Some(mut kept) = Kept::from_bytes(keep).filter(|_| self.refresh_tokens) else {
            return Err(Refusal::not_mine(None));
        };
        let Some(refresh_token) = kept.refresh_token.take() else {
            return Err(Refusal::not_mine(None));
        };
        let provider = self.place.discover()?;
        let mut tokens = self.client.refresh(&provider, &refresh_token)?;
        // Without a next one, this one stays valid (RFC 6749, section 6).
        tokens.refresh_token = tokens.refresh_token.or(Some(refresh_token));
        let claims = match tokens.id_token.as_deref() {
            None => None,
            Some(id_token) => {
                let expected = Expected {
                    nonce: &kept.nonce,
                    nonce_may_be_missing: true,
                    access_token: &tokens.access_token,
                    is_login: false,
                };
                let claims = self.verify(&provider, id_token, &expected)?;
                // Section 12.2.
                if subject(&claims)? != kept.subject {
                    return Err(wrong("the sub of the new id_token is another one than at the login"));
                }
                Some(claims)
            }
        };
        if claims.is_none() && !self.userinfo {
            log::warn(
                "the provider gave no id_token for the refresh token, so the browser is asked. To ask userinfo instead, set \
                 userinfo = true",
            );
            return Err(Refusal::not_mine(None));
        }
        self.arrival(&provider, claims, &tokens, kept)
    }

    fn end(&self, keep: Option<&[u8]>, return_to: &str) -> Option<String> {
        self.end_session_url(keep, return_to)
    }

    fn notice(&self, parameters: &Parameters) -> Result<Vec<String>, Refusal> {
        self.logged_out(parameters)
    }
}

impl Oidc {
    /// Who has arrived with these tokens. `claims` are those of the `id_token`, if there is one.
    fn arrival(
        &self,
        provider: &Provider,
        claims: Option<Claims>,
        tokens: &Tokens,
        kept: Kept,
    ) -> Result<Arrival, Refusal> {
        let handles = self.handles(claims.as_ref(), kept.handles);
        let asked = self
            .userinfo
            .then(|| self.userinfo(provider, &tokens.access_token, &kept.subject));
        let claims = match (claims, asked.transpose()?) {
            // What is signed counts more.
            (Some(signed), Some(asked)) => signed.or(asked),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return Err(Refusal::not_mine(None)),
        };
        let mut arrival = Arrival::new(self.user(&claims)?, self.valid_for);
        arrival.handles.clone_from(&handles);
        let kept = Kept {
            handles,
            refresh_token: tokens.refresh_token.clone().filter(|_| self.refresh_tokens),
            id_token: tokens.id_token.clone().filter(|_| self.end_session.hints),
            ..kept
        };
        if let Some(bytes) = kept.into_bytes() {
            arrival = arrival.with_keep(bytes);
        }
        Ok(arrival)
    }

    /// The handles of a session with these claims of an `id_token`. Those that it doesn't name stay as they were.
    fn handles(&self, claims: Option<&Claims>, mut handles: Vec<String>) -> Vec<String> {
        for claim in ["sub", "sid"] {
            if let Some(handle) = claims.and_then(|claims| self.handle(claims, claim)) {
                handles.retain(|earlier| !earlier.starts_with(claim));
                handles.push(handle);
            }
        }
        handles
    }

    /// The handle by which the provider ends the session: `sub:…`, `sid:…`. `None` if the claim isn't there.
    pub(crate) fn handle(&self, claims: &Claims, claim: &str) -> Option<String> {
        let text = |name: &str| claims.registered(name).and_then(serde_json::Value::as_str);
        let value = text(claim).filter(|value| !value.is_empty())?;
        let handle = format!("{claim}:{value}");
        // Two tenants may have the same subject. What is too long becomes its hash.
        let is_plain = !self.place.issuer.has_tenants() && handle.len() <= MAX_HANDLE;
        Some(match is_plain {
            true => handle,
            false => {
                let issuer = text("iss").unwrap_or_default();
                format!("{claim}#{}", cache::key(&[issuer.as_bytes(), value.as_bytes()]))
            }
        })
    }
}
