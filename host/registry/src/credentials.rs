//! What a registry may be shown to grant access: a password of the configuration, or what `docker login` left in Docker's
//! configuration file or in a credential helper.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use docker_credential::CredentialRetrievalError;
use docker_credential::DockerCredential;

/// Credentials for one registry. `Debug` doesn't show them.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Credentials {
    /// A user name and a password, or what the registry takes as one, such as an access token.
    Password {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// A refresh token, which the registry's token service changes for an access token.
    IdentityToken(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// The maximum size of Docker's configuration file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// How long a credential helper may take.
const HELPER: Duration = Duration::from_secs(20);

/// Reads the credentials for a registry from `config.json` in Docker's folder. `None` if there are none. The error is the rest
/// of a sentence.
pub(crate) async fn of_docker(folder: &Path, host: &str) -> Result<Option<Credentials>, String> {
    let file = folder.join("config.json");
    let name = file.display().to_string();
    let host = host.to_owned();
    // A credential helper is a program that may hang. The thread that waits for it is then left alone.
    let read = tokio::task::spawn_blocking(move || read(&file, &host));
    match tokio::time::timeout(HELPER, read).await {
        Ok(Ok(read)) => read.map_err(|why| format!("{name} {why}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!(
            "{name} names a credential helper that took longer than {} s",
            HELPER.as_secs()
        )),
    }
}

/// The error is the rest of a sentence that begins with the name of the file.
fn read(file: &Path, host: &str) -> Result<Option<Credentials>, String> {
    let mut bytes = Vec::new();
    match File::open(file) {
        Ok(file) => file.take(MAX_FILE + 1).read_to_end(&mut bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => Err(error),
    }
    .map_err(|error| format!("can't be read: {error}"))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("is larger than {MAX_FILE} bytes"));
    }
    match docker_credential::get_credential_from_reader(bytes.as_slice(), key(host)) {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Some(Credentials::Password { username, password }))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Credentials::IdentityToken(token))),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // What the protocol of helpers says for a server that they don't know.
        Err(CredentialRetrievalError::HelperFailure { stdout, .. }) if stdout.contains("credentials not found") => {
            Ok(None)
        }
        Err(error) => Err(sentence(&error)),
    }
}

/// The key under which `docker login` stores the credentials for a registry.
fn key(host: &str) -> &str {
    match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => "https://index.docker.io/v1/",
        host => host,
    }
}

/// What a helper printed isn't repeated, because it may have a secret in it.
fn sentence(error: &CredentialRetrievalError) -> String {
    use CredentialRetrievalError as E;

    match error {
        E::HelperFailure { helper, .. } => format!("names the credential helper {helper}, which failed"),
        E::HelperCommunicationError => {
            "names a credential helper that can't be run: is docker-credential-NAME in PATH? \
                                        Set username and password in the configuration to do without it"
                .to_owned()
        }
        E::MalformedHelperResponse => "names a credential helper whose answer can't be read".to_owned(),
        E::CredentialDecodingError => {
            "has an entry for this registry whose \"auth\" is not base64 of USER:PASSWORD".to_owned()
        }
        E::CredentialMismatchError => {
            "has an entry for this registry whose \"auth\" differs from its username and password".to_owned()
        }
        _ => "is no configuration of Docker".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dockers_file_has_the_credentials_of_a_registry() {
        let folder = tempfile::tempdir().unwrap();
        let password = |username: &str, password: &str| {
            Ok(Some(Credentials::Password {
                username: username.to_owned(),
                password: password.to_owned(),
            }))
        };
        let failed = |why: &str| Err(format!("{} {why}", folder.path().join("config.json").display()));
        for (text, expected) in [
            ("{}", Ok(None)),
            (r#"{"auths": {"other.example": {"auth": "YTpi"}}}"#, Ok(None)),
            (
                r#"{"auths": {"registry.example:5000": {"auth": "YTpiOmM="}}}"#,
                password("a", "b:c"),
            ),
            (
                r#"{"auths": {"https://registry.example:5000": {"auth": "YTpi"}}}"#,
                password("a", "b"),
            ),
            (
                r#"{"auths": {"registry.example:5000": {"identitytoken": "t"}}}"#,
                Ok(Some(Credentials::IdentityToken("t".to_owned()))),
            ),
            (
                r#"{"auths": {"registry.example:5000": {"auth": "!"}}}"#,
                failed("has an entry for this registry whose \"auth\" is not base64 of USER:PASSWORD"),
            ),
            ("garbage", failed("is no configuration of Docker")),
            (
                r#"{"credHelpers": {"registry.example:5000": "no-such-helper"}}"#,
                failed(
                    "names a credential helper that can't be run: is docker-credential-NAME in PATH? Set username and \
                     password in the configuration to do without it",
                ),
            ),
        ] {
            std::fs::write(folder.path().join("config.json"), text).unwrap();
            assert_eq!(
                of_docker(folder.path(), "registry.example:5000").await,
                expected,
                "{text}"
            );
        }
        assert_eq!(
            of_docker(&folder.path().join("none"), "registry.example").await,
            Ok(None)
        );
        let shown = format!("{:?}", Credentials::IdentityToken("secret".to_owned()));
        assert!(!shown.contains("secret"));
    }

    #[test]
    fn docker_hub_has_a_key_of_its_own() {
        assert_eq!(key("docker.io"), "https://index.docker.io/v1/");
    }
}
