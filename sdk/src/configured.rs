//! Makes a plugin from its settings, whatever its role is. The operator reads the error.

use serde::de::DeserializeOwned;

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

/// Makes a plugin from settings in JSON with its function `new`. The error names the setting.
pub(crate) fn configured<S: DeserializeOwned, P>(
    settings: &str,
    new: impl FnOnce(S) -> Result<P, SettingsError>,
) -> Result<P, String> {
    let settings = serde_json::from_str(settings).map_err(|_| located::<S>(settings))?;
    new(settings).map_err(|error| error.to_string())
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

    impl Picky {
        fn new(settings: Nested) -> Result<Self, SettingsError> {
            if settings.limits.sizes.is_empty() {
                Err("limits.sizes: name one".into())
            } else {
                Ok(Self)
            }
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
            assert_eq!(configured(settings, Picky::new).unwrap_err(), expected, "{settings}");
        }
        assert!(configured(r#"{"limits": {"sizes": [1]}}"#, Picky::new).is_ok());
    }
}
