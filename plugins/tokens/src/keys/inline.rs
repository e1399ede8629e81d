//! Keys in the settings: a JWK Set, a JWK or PEM, whichever the text contains. A setting that names a file arrives as
//! the content of the file.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use super::pem;
use super::set::KeySet;

/// Keys as text, or a JWK Set as a table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a JWK Set, or keys as text")]
#[non_exhaustive]
pub enum InlineKeys {
    /// A JWK Set.
    Table(Map<String, Value>),
    /// A JWK Set, a JWK or PEM.
    Text(String),
}

impl InlineKeys {
    /// Reads the keys.
    pub fn parse(self) -> Result<KeySet<'static>, String> {
        match self {
            Self::Table(table) => jwks(&Value::Object(table).to_string()),
            Self::Text(text) => parse(&text),
        }
    }
}

/// Reads keys from a text. Anything but JSON and PEM is an error, and is never used as a secret.
pub fn parse(text: &str) -> Result<KeySet<'static>, String> {
    if text.trim_ascii_start().starts_with('{') {
        return jwks(text);
    }
    if text.contains(pem::BEGIN) {
        let keys = pem::parse(text)?;
        return KeySet::at_most(keys.len()).map(|()| KeySet::of(keys));
    }
    Err("it is neither a JWK Set nor public keys in PEM".to_owned())
}

fn jwks(json: &str) -> Result<KeySet<'static>, String> {
    #[derive(Deserialize)]
    struct Kind {
        kty: Option<String>,
    }
    match serde_json::from_str(json) {
        Ok(Kind { kty: Some(_) }) => KeySet::parse(&format!(r#"{{"keys":[{json}]}}"#)).map(KeySet::into_owned),
        _ => KeySet::parse(json).map(KeySet::into_owned),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The key of RFC 8037, appendix A.2.
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

    fn count(keys: Value) -> Result<usize, String> {
        serde_json::from_value::<InlineKeys>(keys)
            .unwrap()
            .parse()
            .map(|keys| keys.iter().count())
    }

    #[test]
    fn keys_are_recognised_in_every_form() {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "x".repeat(43), "kid": "a"});
        let set = json!({"keys": [jwk, jwk]});
        assert_eq!(count(set.clone()), Ok(2));
        assert_eq!(count(set.to_string().into()), Ok(2));
        assert_eq!(count(format!("\n {set:#}\n").into()), Ok(2));
        assert_eq!(count(jwk.clone()), Ok(1));
        assert_eq!(count(jwk.to_string().into()), Ok(1));
        assert_eq!(count(PEM.into()), Ok(1));
        assert_eq!(count(format!(" \n\t{PEM}").into()), Ok(1));
        assert_eq!(count(PEM.repeat(1000).into()), Ok(1000));
        assert!(count(PEM.repeat(1001).into()).unwrap_err().contains("1001 keys"));
        for text in ["", "hello", "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE", "[]", "\"x\""] {
            assert!(count(text.into()).unwrap_err().contains("neither"), "{text}");
        }
    }
}
