//! Asks the hub who owns a token. That takes one request to its API.

use std::time::Duration;

use portcullis_sdk::Response;
use portcullis_sdk::Token;
use portcullis_sdk::http;
use portcullis_sdk::log;
use portcullis_sdk::settings::HttpUrl;

use crate::identity::Identity;

/// The maximum number of redirects. An `api_url` without the hub's prefix is redirected once.
const REDIRECTS: u8 = 3;

/// The largest answer, in bytes. It lists the user's groups and roles.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// A JupyterHub.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) api_url: HttpUrl,
    pub(crate) timeout: Duration,
}

impl Hub {
    /// Returns the owner of a token, or `None` if the hub doesn't know the token. The token itself authorizes the
    /// request.
    ///
    /// # Errors
    ///
    /// Returns a text for the operator if the hub can't answer.
    pub(crate) fn owner_of(&self, token: &Token) -> Result<Option<Identity>, String> {
        let answer = http::get(self.api_url.below("user"))
            .header("authorization", format!("token {}", token.as_str()))
            .header("accept", "application/json")
            .timeout(self.timeout)
            .same_origin_redirects(REDIRECTS)
            .max_body(MAX_ANSWER)
            .send()
            .map_err(|error| format!("the request to JupyterHub failed: {error}"))?;
        self.read(&answer)
    }

    /// JupyterHub answers 403 for a token that it doesn't know, that has expired or that was revoked.
    fn read(&self, answer: &Response) -> Result<Option<Identity>, String> {
        match answer.status {
            200 => match Identity::from_json(&answer.body) {
                Some(owner) => Ok(Some(owner)),
                None => Err("JupyterHub's answer is not the JSON of a user".to_owned()),
            },
            401 | 403 => Ok(None),
            404 => {
                log::warn(format!(
                    "{} does not exist (404): check that api_url is the API of a JupyterHub",
                    self.api_url.below("user")
                ));
                Ok(None)
            }
            300..=399 => {
                Err("JupyterHub redirects in a loop or to another server; set api_url to the final URL".to_owned())
            }
            status => Err(format!("JupyterHub answered with status {status}")),
        }
    }
}
