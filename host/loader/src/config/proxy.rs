//! The forward proxies that the environment names for requests of plugins.

use portcullis::OutboundProxy;

use crate::config::document::Environment;

/// The proxies of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, or of the same names in small letters, which win as in curl.
/// A value that isn't usable is left out, because it may be meant for other programs.
pub fn of_environment(environment: &Environment) -> Option<OutboundProxy> {
    let variable = |small: &str, capital: &str| {
        let value = environment.variable(small).or_else(|| environment.variable(capital));
        value.unwrap_or_default().to_owned()
    };
    let https = variable("https_proxy", "HTTPS_PROXY");
    let http = variable("http_proxy", "HTTP_PROXY");
    if https.is_empty() && http.is_empty() {
        return None;
    }
    match OutboundProxy::new(&http, &https, &variable("no_proxy", "NO_PROXY")) {
        Ok(proxy) => Some(proxy),
        Err(error) => {
            tracing::warn!(%error, "HTTPS_PROXY or HTTP_PROXY can't be used for requests of plugins");
            None
        }
    }
}
