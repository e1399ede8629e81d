//! The claims of a verified token. They are read strictly: a value of the wrong type is refused, not skipped.
//!
//! The `Validation` of the `jsonwebtoken` crate is not used here: it takes `iss` as a list, does not check `iat`, lets
//! the last of two equal names win, and skipped a time of the wrong type until version 10.3 (CVE-2026-25537). Tests
//! compare this crate with it instead.

pub mod audience;
pub mod path;
pub mod rule;
pub mod scope;
pub mod times;

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use serde_json::Map;
use serde_json::Value;

use crate::error::TokenError;
use path::ClaimPath;

/// The claims of a verified token.
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Parses the payload of a token. Verify the signature first: what it says is trusted from here on.
    pub fn from_verified(payload: &[u8]) -> Result<Self, TokenError> {
        serde_json::from_slice(payload)
            .map_err(|_| TokenError::Token("has a payload that is not a JSON object with distinct names"))
    }

    /// The value of a registered claim (RFC 7519, section 4.1). `null` counts as a value here.
    pub fn registered(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The value of a registered claim that is a string or a list of strings. `split` splits a single string into its
    /// parts. Returns `None` if the claim is missing or `null`.
    pub fn strings<'a>(
        &'a self,
        name: &str,
        split: impl FnOnce(&'a str) -> Vec<&'a str>,
    ) -> Result<Option<Vec<&'a str>>, TokenError> {
        let strings = match self.registered(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => Some(split(text)),
            Some(Value::Array(items)) => items.iter().map(Value::as_str).collect(),
            Some(_) => None,
        };
        let malformed = || TokenError::Claim(name.to_owned(), "is neither a string nor a list of strings");
        strings.map(Some).ok_or_else(malformed)
    }

    /// The value of the claim at this path. `null` counts as missing.
    pub fn find(&self, path: &ClaimPath) -> Option<&Value> {
        path.find(&self.0)
    }

    /// The claims of two sources about one subject. Where both have one, it is that of `self`.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        for (name, value) in others.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }

    /// Refuses a token that lacks one of these claims.
    pub fn require(&self, paths: &[ClaimPath]) -> Result<(), TokenError> {
        match paths.iter().find(|path| self.find(path).is_none()) {
            Some(path) => Err(TokenError::Claim(
                path.to_string(),
                "is missing (settings: required_claims)",
            )),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ClaimsVisitor)
    }
}

struct ClaimsVisitor;

impl<'de> de::Visitor<'de> for ClaimsVisitor {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut access: A) -> Result<Claims, A::Error> {
        let mut claims = Map::new();
        while let Some((name, value)) = access.next_entry()? {
            // RFC 7519, section 4, leaves a choice: refuse them, or use the last one. Another reader may use the first.
            if claims.insert(name, value).is_some() {
                return Err(de::Error::custom("a claim occurs twice"));
            }
        }
        Ok(Claims(claims))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_one_object_with_distinct_names() {
        for payload in [r#"{}"#, r#"{"a":{"b":1,"b":2}}"#, " {\"sub\":\"a\"}\n"] {
            assert!(Claims::from_verified(payload.as_bytes()).is_ok(), "{payload}");
        }
        for payload in [
            "",
            "[]",
            "null",
            "\"{}\"",
            "{",
            "{}{}",
            r#"{"a":1,"a":1}"#,
            r#"{"a":1e999}"#,
            "{\"a\":\"\u{0}\"}",
        ] {
            assert!(Claims::from_verified(payload.as_bytes()).is_err(), "{payload}");
        }
        assert!(Claims::from_verified(b"{\"a\":\"\xff\"}").is_err());
        assert!(Claims::from_verified(&[b"{\"a\":".as_slice(), &[b'['; 1000]].concat()).is_err());
    }
}
