//! The trait that every authenticator implements. The gateway makes an authenticator from its settings and asks it who
//! sent each request.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::Grant;
use crate::Refusal;
use crate::Request;

/// Identifies the user who sent a request.
///
/// By default the gateway makes a fresh instance for every request, so [`new`](Self::new) runs as often as
/// [`authenticate`](Self::authenticate). Keep it cheap, and keep nothing in the value that the next request needs.
/// State that must outlive a request belongs in the [`cache`](crate::cache).
pub trait Authenticator: Sized {
    /// The settings in the configuration. [`settings!`](crate::settings!) derives everything that they need, and adds
    /// `#[serde(deny_unknown_fields)]`, which turns a misspelt name into an error.
    type Settings: DeserializeOwned + JsonSchema;

    /// Makes an authenticator from its settings.
    ///
    /// # Errors
    ///
    /// Returns an error if the settings contradict each other or can't work. The operator reads the text: name the
    /// setting that is wrong and say what would be right.
    fn new(settings: Self::Settings) -> Result<Self, SettingsError>;

    /// Identifies the user who sent the request.
    ///
    /// # Errors
    ///
    /// Returns a [`Refusal`] if there is no such user. It decides what the gateway does next.
    fn authenticate(&self, request: &Request) -> Result<Grant, Refusal>;
}

/// A description of what is wrong with the settings, for the operator.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

impl From<String> for SettingsError {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

impl From<&str> for SettingsError {
    fn from(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

/// Makes an authenticator from settings in JSON. The error names the setting.
pub(crate) fn configured<A: Authenticator>(settings: &str) -> Result<A, String> {
    let settings = serde_json::from_str(settings).map_err(|_| located::<A::Settings>(settings))?;
    A::new(settings).map_err(|error| error.to_string())
}

/// Deserializes wrong settings a second time to find out where they are wrong. The first time runs for every request,
/// so it doesn't keep track of that.
fn located<S: DeserializeOwned>(settings: &str) -> String {
    let mut json = serde_json::Deserializer::from_str(settings);
    match serde_path_to_error::deserialize::<_, S>(&mut json) {
        Ok(_) => "the settings are not one JSON object".to_owned(),
        Err(error) => {
            let reason = without_position(&error.inner().to_string());
            match error.path().to_string().as_str() {
                "." => reason,
                path => format!("{path}: {reason}"),
            }
        }
    }
}

/// The operator wrote TOML, so a position in the JSON made from it would mislead.
fn without_position(reason: &str) -> String {
    reason
        .rsplit_once(" at line ")
        .map_or(reason, |(reason, _)| reason)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::settings! {
        #[allow(dead_code, reason = "only read from JSON")]
        struct Nested {
            limits: Limits,
        }

        #[allow(dead_code, reason = "only read from JSON")]
        struct Limits {
            sizes: Vec<u8>,
        }
    }

    #[derive(Debug)]
    struct Picky;

    impl Authenticator for Picky {
        type Settings = Nested;

        fn new(settings: Nested) -> Result<Self, SettingsError> {
            if settings.limits.sizes.is_empty() {
                Err("limits.sizes: name one".into())
            } else {
                Ok(Self)
            }
        }

        fn authenticate(&self, _: &Request) -> Result<Grant, Refusal> {
            Err(Refusal::not_mine(None))
        }
    }

    #[test]
    fn wrong_settings_are_reported_with_their_path() {
        let cases = [
            (
                r#"{"limits": {"sizes": [1, 2, 300]}}"#,
                "limits.sizes[2]: invalid value: integer `300`, expected u8",
            ),
            (
                r#"{"limits": {"sise": []}}"#,
                "limits.sise: unknown field `sise`, expected `sizes`",
            ),
            (r#"{"limits": {}}"#, "limits: missing field `sizes`"),
            (r#"{}"#, "missing field `limits`"),
            (r#"{"limits": {"sizes": []}}"#, "limits.sizes: name one"),
            (
                r#"{"limits": {"sizes": [1]}} x"#,
                "the settings are not one JSON object",
            ),
        ];
        for (settings, expected) in cases {
            assert_eq!(configured::<Picky>(settings).unwrap_err(), expected, "{settings}");
        }
        assert!(configured::<Picky>(r#"{"limits": {"sizes": [1]}}"#).is_ok());
    }
}
