//! Asks the provider for claims that the `id_token` lacks (OpenID Connect Core 1.0, section 5.3).

use portcullis_sdk::Refusal;
use portcullis_sdk::http;
use portcullis_sdk::oauth::Provider;
use portcullis_tokens::claims::Claims;
use portcullis_tokens::text::quoted;

use crate::Oidc;
use crate::id_token::subject;
use crate::wrong;

/// The largest answer, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

impl Oidc {
    /// What the provider says of the owner of an access token, who must be this subject (section 5.3.2).
    pub(crate) fn userinfo(&self, provider: &Provider, access_token: &str, expected: &str) -> Result<Claims, Refusal> {
        let missing = || Refusal::unavailable(format!("{} has no userinfo_endpoint", self.place.metadata_url));
        let url = provider.userinfo_endpoint.as_deref().ok_or_else(missing)?;
        let failed = |why: String| Refusal::unavailable(format!("{url}{why}"));
        let answer = http::get(url)
            .header("authorization", format!("Bearer {access_token}"))
            .header("accept", "application/json")
            .timeout(self.place.timeout)
            .max_body(MAX_ANSWER)
            .send()
            .map_err(|error| failed(format!(": {error}")))?;
        if answer.status != 200 {
            return Err(failed(format!(" answered with status {}", answer.status)));
        }
        let claims = Claims::from_verified(&answer.body).map_err(|_| {
            failed(
                " didn't answer with a JSON object. If it answers with a JWT, set the client's userinfo_signed_response_alg \
                 to none at the provider"
                    .to_owned(),
            )
        })?;
        let found = subject(&claims)?;
        if found != expected {
            return Err(wrong(format!(
                "the sub of userinfo is {}, and that of the id_token is {}",
                quoted(found),
                quoted(expected)
            )));
        }
        Ok(claims)
    }
}
