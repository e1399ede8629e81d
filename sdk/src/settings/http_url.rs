//! Addresses of other servers among the settings.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;

use crate::url::Url;

/// The address of a server's interface: an absolute `http` or `https` URL without user name, query or fragment. A slash
/// at its end makes no difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// The URL without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What lies below this URL, under a path that is already encoded and has no slash before it.
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
        // The text is not quoted: what is wrong with it may be a password in it.
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
    fn a_slash_at_the_end_makes_no_difference() {
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
    fn what_is_no_address_is_an_error_that_does_not_quote_it() {
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
