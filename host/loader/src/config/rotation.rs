//! Secrets in `http_headers` that are read again when their file changes: tokens of service accounts and of secret managers
//! live for an hour or so, and are replaced in place.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use portcullis::SecretHeader;
use tokio::task::AbortHandle;

use crate::config::secret::read_private_file;

/// The maximum length of a secret in a header, in bytes. Most servers accept headers of about this size.
const MAX_HEADER: usize = 8192;

/// How often the files are read. Unlike notifications, this sees every kind of change, such as a folder that is swapped.
const INTERVAL: Duration = Duration::from_secs(2);

/// A header whose secret is in a file.
#[derive(Clone, Debug)]
pub struct RotatingHeader {
    /// The file.
    file: PathBuf,
    /// The text before the secret, such as `Bearer `.
    prefix: String,
    header: SecretHeader,
    trouble: Trouble,
}

/// Whether the file could be read the last times.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    Once,
    Logged,
}

impl RotatingHeader {
    /// Reads the file.
    pub fn new(file: PathBuf, prefix: String) -> Result<Self, String> {
        let value = header_value(&prefix, &read_private_file(&file)?)?;
        Ok(Self {
            file,
            prefix,
            header: SecretHeader::from(value),
            trouble: Trouble::None,
        })
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The header, whose value follows the file.
    pub fn header(&self) -> SecretHeader {
        self.header.clone()
    }

    /// Takes up a new secret. If the file can't be used, the old one stays. A file that is being replaced may be unusable for
    /// a moment, so an error is logged only if it is still there the next time.
    fn refresh(&mut self) {
        let read = read_private_file(&self.file).and_then(|secret| header_value(&self.prefix, &secret));
        let file = self.file.display();
        match read {
            Ok(value) => {
                if self.header.replace(value) {
                    tracing::info!(%file, "a new secret is used in http_headers");
                }
                self.trouble = Trouble::None;
            }
            Err(error) => {
                if matches!(self.trouble, Trouble::Once) {
                    tracing::warn!(%file, %error, "a secret of http_headers can't be read again; the old one is used");
                }
                self.trouble = match self.trouble {
                    Trouble::None => Trouble::Once,
                    Trouble::Once | Trouble::Logged => Trouble::Logged,
                };
            }
        }
    }
}

/// The value of a header with a secret.
pub fn header_value(prefix: &str, secret: &str) -> Result<HeaderValue, String> {
    if prefix.len() + secret.len() > MAX_HEADER {
        return Err(format!("the secret is longer than {MAX_HEADER} bytes"));
    }
    let mut value = HeaderValue::try_from(format!("{prefix}{secret}")).map_err(|_| {
        "the secret contains a character that isn't allowed in a header, such as a line break".to_owned()
    })?;
    // So that `Debug` doesn't show it.
    value.set_sensitive(true);
    Ok(value)
}

/// Keeps the secrets of headers up to date in the background, until it is dropped.
#[derive(Debug, Default)]
pub struct SecretWatch(Option<AbortHandle>);

impl SecretWatch {
    /// Follows the files of these headers instead of those before. Call it in a Tokio runtime with time enabled.
    pub fn follow(&mut self, headers: Vec<RotatingHeader>) {
        self.end();
        self.0 = Some(tokio::spawn(watch_secrets(headers)).abort_handle());
    }

    fn end(&mut self) {
        if let Some(watch) = self.0.take() {
            watch.abort();
        }
    }
}

impl Drop for SecretWatch {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads the files again and again. The future never completes, unless there are none.
async fn watch_secrets(mut headers: Vec<RotatingHeader>) {
    while !headers.is_empty() {
        let read = tokio::task::spawn_blocking(move || {
            headers.iter_mut().for_each(RotatingHeader::refresh);
            headers
        });
        match read.await {
            Ok(read) => headers = read,
            Err(_) => return,
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown_in_debug_output() {
        let value = header_value("Bearer ", "hunter2").unwrap();
        assert_eq!(value, "Bearer hunter2");
        assert!(!format!("{value:?}").contains("hunter2"));
    }
}
