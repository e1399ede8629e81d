//! The hub: one question to its API, and what its answers mean.

use std::time::Duration;

use portcullis_sdk::Response;
use portcullis_sdk::Token;
use portcullis_sdk::http;
use portcullis_sdk::log;
use portcullis_sdk::settings::HttpUrl;

use crate::identity::Identity;

/// How many redirects are followed. An `api_url` without the hub's prefix is redirected once.
const REDIRECTS: u8 = 3;

/// A JupyterHub.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) api_url: HttpUrl,
    pub(crate) timeout: Duration,
}

impl Hub {
    /// Asks whose token this is, with the token itself; none if the hub doesn't know it.
    ///
    /// # Errors
    ///
    /// When the hub can't say, in words for the operator.
    pub(crate) fn owner_of(&self, token: &Token) -> Result<Option<Identity>, String> {
        let answer = http::get(self.api_url.below("user"))
            .header("authorization", format!("token {}", token.as_str()))
            .header("accept", "application/json")
            .timeout(self.timeout)
            .same_origin_redirects(REDIRECTS)
            .send()
            .map_err(|error| format!("asking JupyterHub: {error}"))?;
        self.read(&answer)
    }

    /// JupyterHub answers 403 for a token that it doesn't know, that has expired or that was revoked.
    fn read(&self, answer: &Response) -> Result<Option<Identity>, String> {
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map(Some)
                .map_err(|_| "JupyterHub's answer is not the JSON of a user".to_owned()),
            401 | 403 => Ok(None),
            404 => {
                log::warn(format!(
                    "{} is not there (404): is api_url that of a JupyterHub?",
                    self.api_url.below("user")
                ));
                Ok(None)
            }
            300..=399 => Err("JupyterHub redirects elsewhere or in circles; api_url must be where it ends".to_owned()),
            status => Err(format!("JupyterHub answered with status {status}")),
        }
    }
}
