//! References to components, such as `oci://registry.example/team/badge:1.0`. Nothing is filled in: a registry must be named,
//! and a tag or a digest.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

/// What every reference begins with.
pub const SCHEME: &str = "oci://";

/// One version of a component in a registry.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reference {
    registry: String,
    repository: String,
    version: Version,
}

/// Which version of a component is meant.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Version {
    /// The one that this tag names at the moment.
    Tag(String),
    /// The one whose manifest has this digest. It never changes.
    Digest(Digest),
}

impl Reference {
    /// The registry: a host, and the port unless it is the default one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository, such as `team/badge`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The last word of the repository, such as `badge`.
    pub fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }

    /// The tag or the digest.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The same repository with this digest.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            version: Version::Digest(digest),
            ..self.clone()
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            registry,
            repository,
            version,
        } = self;
        match version {
            Version::Tag(tag) => write!(f, "{SCHEME}{registry}/{repository}:{tag}"),
            Version::Digest(digest) => write!(f, "{SCHEME}{registry}/{repository}@{digest}"),
        }
    }
}

/// Why a text is no reference. It is the rest of a sentence that begins with the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// It doesn't begin with the scheme.
    #[error("doesn't begin with oci://")]
    Scheme,
    /// It is too long.
    #[error("is longer than {MAX_LENGTH} characters")]
    Length,
    /// The registry isn't a host.
    #[error("names no registry: expected oci://HOST[:PORT]/REPOSITORY:TAG or oci://HOST[:PORT]/REPOSITORY@sha256:…")]
    Registry,
    /// The repository has a character or a form that the distribution specification doesn't allow.
    #[error(
        "has no valid repository: its parts consist of small letters and digits, with ., _, __ or - between them (OCI \
         distribution specification)"
    )]
    Repository,
    /// It has neither a tag nor a digest.
    #[error("names no version: add a tag, such as :1.0, or a digest, @sha256:…; \"latest\" isn't assumed")]
    Version,
    /// It has a tag and a digest, of which one would be ignored.
    #[error("has a tag and a digest: leave out the tag")]
    Both,
    /// The tag has a character or a length that the distribution specification doesn't allow.
    #[error("has no valid tag: up to 128 letters, digits, ., _ and -, beginning with a letter, digit or _")]
    Tag,
    /// The digest isn't one.
    #[error("has no valid digest: expected \"sha256:\" and 64 hexadecimal digits in small letters")]
    Digest,
}

/// The maximum length of a reference. That of a repository is 255 (OCI distribution specification, "Pulling manifests").
const MAX_LENGTH: usize = 512;

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let rest = text.strip_prefix(SCHEME).ok_or(ReferenceError::Scheme)?;
        if text.len() > MAX_LENGTH {
            return Err(ReferenceError::Length);
        }
        let (registry, rest) = rest.split_once('/').ok_or(ReferenceError::Registry)?;
        if !is_host(registry) {
            return Err(ReferenceError::Registry);
        }
        let (repository, version) = match rest.split_once('@') {
            Some((repository, _)) if repository.contains(':') => return Err(ReferenceError::Both),
            Some((repository, digest)) => {
                let digest = digest.parse().map_err(|_| ReferenceError::Digest)?;
                (repository, Version::Digest(digest))
            }
            None => {
                let (repository, tag) = rest.split_once(':').ok_or(ReferenceError::Version)?;
                if !is_tag(tag) {
                    return Err(ReferenceError::Tag);
                }
                (repository, Version::Tag(tag.to_owned()))
            }
        };
        if repository.len() > 255 || !repository.split('/').all(is_path_component) {
            return Err(ReferenceError::Repository);
        }
        Ok(Self {
            registry: registry.to_ascii_lowercase(),
            repository: repository.to_owned(),
            version,
        })
    }
}

/// Whether a text is `HOST` or `HOST:PORT`, where the host is a name, an IPv4 address or an IPv6 address in brackets.
pub fn is_host(text: &str) -> bool {
    let Ok(authority) = text.parse::<http::uri::Authority>() else {
        return false;
    };
    let host = authority.host();
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let is_good = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_name),
    };
    let has_good_port = match text.strip_prefix(host) {
        Some("") => true,
        Some(port) => port.starts_with(':') && authority.port_u16().is_some_and(|port| port != 0),
        None => false,
    };
    is_good && has_good_port
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (OCI distribution specification, "Pulling manifests").
fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_allowed = |byte: u8| is_word(byte) || b".-".contains(&byte);
    text.len() <= 128 && text.bytes().next().is_some_and(is_word) && text.bytes().all(is_allowed)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` (OCI distribution specification, "Pulling manifests").
fn is_path_component(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_separator = |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    let ends = [text.bytes().next(), text.bytes().next_back()];
    ends.iter().all(|end| end.is_some_and(is_word))
        && text
            .split(|c: char| u8::try_from(c).is_ok_and(is_word))
            .all(is_separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn references_are_written_as_they_are_read() {
        for (text, registry, repository) in [
            (
                "oci://registry.example/team/badge:1.0",
                "registry.example",
                "team/badge",
            ),
            (
                "oci://localhost:5000/a__b/c--d.e:_x.y-z",
                "localhost:5000",
                "a__b/c--d.e",
            ),
            ("oci://[::1]:5000/a:b", "[::1]:5000", "a"),
            (&format!("oci://127.0.0.1:5000/a@{SHA}"), "127.0.0.1:5000", "a"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
            assert_eq!((reference.registry(), reference.repository()), (registry, repository));
        }
        let upper: Reference = "oci://Registry.Example/a:B".parse().unwrap();
        assert_eq!(upper.to_string(), "oci://registry.example/a:B");
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        use ReferenceError as E;

        for (text, expected) in [
            ("", E::Scheme),
            ("https://registry.example/a:1", E::Scheme),
            ("oci://", E::Registry),
            ("oci://registry.example", E::Registry),
            ("oci:///a:1", E::Registry),
            ("oci://user:password@registry.example/a:1", E::Registry),
            ("oci://registry.example:0/a:1", E::Registry),
            ("oci://registry.example:/a:1", E::Registry),
            ("oci://registry.example:99999/a:1", E::Registry),
            ("oci://re_gistry/a:1", E::Registry),
            ("oci://[::1/a:1", E::Registry),
            ("oci://registry.example/:1", E::Repository),
            ("oci://registry.example/A:1", E::Repository),
            ("oci://registry.example/a//b:1", E::Repository),
            ("oci://registry.example/../b:1", E::Repository),
            ("oci://registry.example/a___b:1", E::Repository),
            ("oci://registry.example/a._b:1", E::Repository),
            ("oci://registry.example/-a:1", E::Repository),
            ("oci://registry.example/a?x:1", E::Repository),
            ("oci://registry.example/ä:1", E::Repository),
            ("oci://registry.example/a", E::Version),
            ("oci://registry.example/a:", E::Tag),
            ("oci://registry.example/a:-x", E::Tag),
            ("oci://registry.example/a:x/y", E::Tag),
            ("oci://registry.example/a@sha256:12", E::Digest),
            ("oci://registry.example/a@sha512:12", E::Digest),
            (&format!("oci://registry.example/a:1@{SHA}"), E::Both),
            (&format!("oci://registry.example/a@{}", SHA.to_uppercase()), E::Digest),
            (&format!("oci://registry.example/{}:1", "a".repeat(256)), E::Repository),
            (&format!("oci://registry.example/a:{}", "a".repeat(129)), E::Tag),
            (&format!("oci://registry.example/{}:1", "a/".repeat(300)), E::Length),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(expected), "{text}");
        }
    }
}
