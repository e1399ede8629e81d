//! Where the server is, by URL. User names may stand in a URL, and passwords must not: configuration files are read by many.

use std::fmt;
use std::str::FromStr;

use fred::types::config::Config;

/// Where the server is. The URL has one of these forms:
///
/// * `redis://HOST:PORT/DATABASE`: one server;
/// * `redis-sentinel://HOST:PORT?sentinelServiceName=NAME&node=HOST:PORT`: the server that Sentinels name;
/// * `redis-cluster://HOST:PORT?node=HOST:PORT`: a cluster;
/// * `redis+unix:///PATH`: a socket.
///
/// With `rediss` instead of `redis`, the connections are TLS. `USER@` before the host is the user of an ACL.
#[derive(Clone)]
pub struct Location {
    pub(crate) config: Config,
    shown: String,
}

impl Location {
    /// Whether the connections are TLS.
    pub fn is_tls(&self) -> bool {
        self.shown.starts_with("rediss") || self.shown.starts_with("valkeys")
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(url: &str) -> Result<Self, LocationError> {
        // The client takes any other scheme for `redis`.
        if !url.split_once("://").is_some_and(|(scheme, _)| is_known(scheme)) {
            return Err(LocationError::Malformed("it has none of these schemes".to_owned()));
        }
        let config = Config::from_url(url).map_err(|error| LocationError::Malformed(error.details().to_owned()))?;
        // Both are checked, because a URL can have them twice.
        if config.password.is_some() || url.to_ascii_lowercase().contains("password=") {
            return Err(LocationError::Password);
        }
        Ok(Self {
            config,
            shown: url.to_owned(),
        })
    }
}

fn is_known(scheme: &str) -> bool {
    let kinds = ["-sentinel", "-cluster"];
    let server = kinds
        .iter()
        .find_map(|kind| scheme.strip_suffix(kind))
        .unwrap_or(scheme);
    ["redis", "rediss", "valkey", "valkeys"].contains(&server) || ["redis+unix", "valkey+unix"].contains(&scheme)
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({})", self.shown)
    }
}

/// Why a text is no [`Location`]. The message doesn't repeat it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// It isn't a URL of one of the forms.
    #[error(
        "expected redis://HOST:PORT/DATABASE, redis-sentinel://HOST:PORT?sentinelServiceName=NAME, \
         redis-cluster://HOST:PORT or redis+unix:///PATH, or rediss for TLS: {0}"
    )]
    Malformed(String),
    /// It has a password.
    #[error("the URL has a password; it belongs into a file of its own")]
    Password,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_the_server_is_and_never_has_a_password() {
        for (url, is_tls) in [
            ("redis://127.0.0.1:6379/2", Some(false)),
            ("valkey://cache.example", Some(false)),
            ("rediss://portcullis@cache.example:6380", Some(true)),
            (
                "redis-sentinel://10.0.0.1:26379?sentinelServiceName=main&node=10.0.0.2:26379",
                Some(false),
            ),
            ("rediss-cluster://10.0.0.1:7000?node=10.0.0.2:7000", Some(true)),
            ("redis+unix:///run/redis/redis.sock", Some(false)),
            ("redis://:secret@127.0.0.1", None),
            ("redis://user:secret@127.0.0.1", None),
            (
                "redis-sentinel://10.0.0.1:26379?sentinelServiceName=main&sentinelPassword=secret",
                None,
            ),
            ("redis-sentinel://10.0.0.1:26379", None),
            ("http://127.0.0.1", None),
            ("127.0.0.1:6379", None),
            ("", None),
        ] {
            let location = url.parse::<Location>();
            assert_eq!(location.as_ref().ok().map(Location::is_tls), is_tls, "{url}");
            if let Err(error) = location {
                assert!(!error.to_string().contains("secret"), "{url}: {error}");
            }
        }
    }
}
