//! The public keys of an issuer. A token is verified only with keys of its id and its algorithm.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::jwk::Jwk;
use super::jwk::Key;
use crate::jws::Jws;

/// The maximum number of keys of an issuer.
const MAX_KEYS: usize = 100;

/// The maximum number of keys that are tried for a token that names none. Each try verifies a signature.
const MAX_TRIES: usize = 5;

/// A set of public keys.
#[derive(Clone, Debug)]
pub(crate) struct KeySet<'a>(Vec<Key<'a>>);

/// The keys that may have signed a token.
pub(crate) enum Candidates<'k> {
    /// The key that the token names is for another algorithm.
    WrongAlgorithm,
    /// The keys that the token names by their id.
    Named(Vec<&'k Key<'k>>),
    /// Keys that are possible because the token names none, or because they have no id. There may be none.
    Possible(Vec<&'k Key<'k>>),
}

impl<'a> KeySet<'a> {
    /// Parses a JWK Set (RFC 7517, section 5). Keys that are not for verifying signatures are left out, as that section
    /// asks. A set without any other keys is an error.
    pub(crate) fn parse(json: &'a str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct JwkSet<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }
        let set: JwkSet<'a> =
            serde_json::from_str(json).map_err(|_| "it is not a JWK Set, an object with a list of keys".to_owned())?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!(
                "it has {} keys; at most {MAX_KEYS} are allowed",
                set.keys.len()
            ));
        }
        let (mut keys, mut reason) = (Vec::new(), "");
        for key in set.keys {
            match serde_json::from_str::<Jwk<'a>>(key.get())
                .map_err(|_| "is malformed")
                .and_then(Key::try_from)
            {
                Ok(key) => keys.push(key),
                Err(problem) => reason = problem,
            }
        }
        match (keys.is_empty(), reason) {
            (true, "") => Err("it has no keys".to_owned()),
            (true, reason) => Err(format!("none of its keys verifies signatures; the last one {reason}")),
            (false, _) => Ok(Self(keys)),
        }
    }

    /// Makes a set of keys that are known to verify signatures.
    pub(crate) fn of(keys: Vec<Key<'a>>) -> Self {
        Self(keys)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Key<'a>> {
        self.0.iter()
    }

    pub(crate) fn into_owned(self) -> KeySet<'static> {
        KeySet(
            self.0
                .into_iter()
                .map(|key| Key {
                    algorithms: key.algorithms,
                    jwk: key.jwk.into_owned(),
                })
                .collect(),
        )
    }

    /// The keys that may have signed this token. An id is compared with known ids and never used for anything else.
    pub(crate) fn candidates(&self, jws: &Jws<'_>) -> Candidates<'_> {
        let fits = |key: &&Key<'_>| key.algorithms.contains(jws.algorithm);
        let has_id = |key: &&Key<'_>| jws.key_id.is_some() && key.jwk.kid.as_deref() == jws.key_id.as_deref();
        if self.0.iter().any(|key| has_id(&key)) {
            let named: Vec<_> = self.0.iter().filter(has_id).filter(fits).take(MAX_TRIES).collect();
            return if named.is_empty() {
                Candidates::WrongAlgorithm
            } else {
                Candidates::Named(named)
            };
        }
        let is_possible = |key: &&Key<'_>| jws.key_id.is_none() || key.jwk.kid.is_none();
        Candidates::Possible(self.0.iter().filter(is_possible).filter(fits).take(MAX_TRIES).collect())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    fn rsa(more: &str) -> String {
        format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"{more}}}"#, "x".repeat(342))
    }

    fn ec(more: &str) -> String {
        format!(
            r#"{{"kty":"EC","crv":"P-256","x":"{0}","y":"{0}"{more}}}"#,
            "x".repeat(43)
        )
    }

    fn set(keys: &[String]) -> String {
        format!(r#"{{"keys":[{}],"more":1}}"#, keys.join(","))
    }

    /// The keys that are found for a token: `named 0`, `possible 1 2`, `wrong algorithm`.
    fn found(set: &KeySet<'_>, header: &str) -> String {
        let token = format!("{}.e30.", BASE64_URL_SAFE_NO_PAD.encode(header));
        let places = |keys: Vec<&Key<'_>>| {
            let place = |key: &&Key<'_>| set.iter().position(|other| std::ptr::eq(other, *key)).unwrap();
            keys.iter().map(|key| format!(" {}", place(key))).collect::<String>()
        };
        match set.candidates(&Jws::parse(&token).unwrap()) {
            Candidates::WrongAlgorithm => "wrong algorithm".to_owned(),
            Candidates::Named(keys) => format!("named{}", places(keys)),
            Candidates::Possible(keys) => format!("possible{}", places(keys)),
        }
    }

    #[test]
    fn a_token_is_verified_with_keys_of_its_id_and_algorithm() {
        let set = set(&[
            rsa(r#","kid":"a""#),
            rsa(r#","kid":"b","alg":"RS256""#),
            ec(r#","kid":"a""#),
            ec(r#","kid":"../../dev/null""#),
            rsa(""),
        ]);
        let set = KeySet::parse(&set).unwrap();
        let cases = [
            (r#"{"alg":"RS256","kid":"a"}"#, "named 0"),
            (r#"{"alg":"PS512","kid":"a"}"#, "named 0"),
            (r#"{"alg":"ES256","kid":"a"}"#, "named 2"),
            (r#"{"alg":"ES256","kid":"..\/..\/dev\/null"}"#, "named 3"),
            (r#"{"alg":"PS256","kid":"b"}"#, "wrong algorithm"),
            (r#"{"alg":"HS256","kid":"b"}"#, "wrong algorithm"),
            (r#"{"alg":"RS256"}"#, "possible 0 1 4"),
            (r#"{"alg":"ES256"}"#, "possible 2 3"),
            (r#"{"alg":"ES384"}"#, "possible"),
            (r#"{"alg":"HS256"}"#, "possible"),
            (r#"{"alg":"RS256","kid":"A"}"#, "possible 4"),
            (r#"{"alg":"RS256","kid":""}"#, "possible 4"),
            (r#"{"alg":"ES256","kid":"c"}"#, "possible"),
        ];
        for (header, expected) in cases {
            assert_eq!(found(&set, header), expected, "{header}");
        }
    }

    #[test]
    fn only_a_few_keys_are_tried() {
        let set = set(&vec![ec(""); 20]);
        assert_eq!(
            found(&KeySet::parse(&set).unwrap(), r#"{"alg":"ES256"}"#),
            "possible 0 1 2 3 4"
        );
    }

    #[test]
    fn unusable_keys_are_left_out() {
        let oct = r#"{"kty":"oct","k":"c2VjcmV0","alg":"HS256","kid":"a"}"#.to_owned();
        let keys = [
            oct,
            "7".to_owned(),
            r#"{"kty":7}"#.to_owned(),
            rsa(r#","use":"enc""#),
            rsa(r#","kid":["a"]"#),
            ec(""),
        ];
        let set = set(&keys);
        let set = KeySet::parse(&set).unwrap();
        assert_eq!(set.iter().count(), 1);
        assert_eq!(found(&set, r#"{"alg":"HS256","kid":"a"}"#), "possible");
    }

    #[test]
    fn a_set_without_a_usable_key_is_an_error() {
        let many = set(&vec![ec(""); 101]);
        let oct = set(&[r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned()]);
        let cases = [
            ("", "not a JWK Set"),
            ("[]", "not a JWK Set"),
            ("{}", "not a JWK Set"),
            (r#"{"keys":{}}"#, "not a JWK Set"),
            (r#"{"keys":[]}"#, "no keys"),
            (r#"{"keys":[1]}"#, "malformed"),
            (&oct, "the setting secret"),
            (&many, "101 keys"),
        ];
        for (json, problem) in cases {
            let error = KeySet::parse(json).unwrap_err();
            assert!(error.contains(problem), "{json}: {error}");
        }
    }
}
