//! Settings that must stay secret, such as passwords, keys and tokens. Neither debug output nor an error shows their
//! values.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;
use serde::de::IgnoredAny;

use crate::constant_time_eq;

/// A secret in the settings. It is never empty, and neither its `Debug` output nor an error about it shows the value.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Returns whether `given` is the secret. The comparison takes constant time.
    pub fn matches(&self, given: impl AsRef<[u8]>) -> bool {
        constant_time_eq(given.as_ref(), self.0.as_bytes())
    }

    /// The secret in plain text, to be sent where it belongs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // For a value of another type, serde's own error would quote the value.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Other(IgnoredAny),
        }
        match Written::deserialize(deserializer)? {
            Written::Text(secret) if secret.is_empty() => Err(Error::custom("a secret must not be empty")),
            Written::Text(secret) => Ok(Self(secret)),
            Written::Other(_) => Err(Error::custom("a secret must be a string")),
        }
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Secret")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "minLength": 1, "writeOnly": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret: Secret = serde_json::from_str(r#""hunter2""#).unwrap();
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert!(secret.matches("hunter2"));
        assert!(!secret.matches("hunter3"));
        let error = serde_json::from_str::<Secret>("774411").unwrap_err().to_string();
        assert!(
            error.contains("must be a string") && !error.contains("774411"),
            "{error}"
        );
    }

    #[test]
    fn an_empty_secret_is_an_error() {
        assert!(serde_json::from_str::<Secret>(r#""""#).is_err());
    }
}
