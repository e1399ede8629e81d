//! URLs of other servers in settings. They are validated when the settings are read.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;

use crate::url::Url;

/// The base URL of a server's API: an absolute `http` or `https` URL without user name, query or fragment. A trailing
/// slash makes no difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// The URL without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Appends a path to the URL. The path must be percent-encoded and have no leading slash.
    pub fn below(&self, path: &str) -> String {
        format!("{}/{path}", self.0)
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HttpUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        let plain = !written.contains(['?', '#', '\\']);
        // The text is not quoted, since it may contain a password.
        let url = Url::parse(&written)
            .filter(|_| plain)
            .ok_or_else(|| Error::custom("expected an http or https URL without user name, query or fragment"))?;
        Ok(Self(url.to_string().trim_end_matches('/').to_owned()))
    }
}

impl JsonSchema for HttpUrl {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("HttpUrl")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "format": "uri" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_slash_makes_no_difference() {
        for written in [
            "http://hub:8081/hub/api",
            "http://hub:8081/hub/api/",
            "http://hub:8081/hub/api//",
        ] {
            let url: HttpUrl = serde_json::from_value(written.into()).unwrap();
            assert_eq!(url.below("user"), "http://hub:8081/hub/api/user");
        }
        assert_eq!(
            serde_json::from_str::<HttpUrl>(r#""https://hub""#)
                .unwrap()
                .below("user"),
            "https://hub/user"
        );
    }

    #[test]
    fn an_invalid_url_is_an_error_that_does_not_quote_it() {
        for written in [
            "",
            "hub/api",
            "ftp://hub/",
            "http://u:hunter2@hub/",
            "http://hub/?a",
            "http://hub/#a",
            "http://h b/",
        ] {
            let error = serde_json::from_value::<HttpUrl>(written.into())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("expected an http") && !error.contains("hunter2"),
                "{written}: {error}"
            );
        }
    }
}
