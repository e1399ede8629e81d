//! The public keys of an issuer. A token is verified only with keys of its id and its algorithm.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_sdk::cache;
use portcullis_sdk::log;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::jwk::Key;
use super::pem;
use crate::algorithm::AlgorithmSet;
use crate::jws::Jws;
use crate::text::quoted;

/// The maximum number of keys of an issuer.
const MAX_KEYS: usize = 1000;

/// The maximum number of keys that are tried for one token. Each try verifies a signature, which takes 0.1 ms.
const MAX_TRIES: usize = 100;

/// How many unusable keys are named.
const MAX_NAMED: usize = 5;

/// A set of public keys.
#[derive(Clone, Debug)]
pub struct KeySet<'a> {
    keys: Vec<Key<'a>>,
    /// Which keys can't be used, and why. `None` if all can.
    unusable: Option<String>,
}

/// The keys that may have signed a token.
pub(crate) enum Candidates<'k> {
    /// The key that the token names is for other algorithms.
    WrongAlgorithm(AlgorithmSet),
    /// The keys that the token names by their id; or else keys that are possible because the token names none, or
    /// because they have no id. There may be none.
    Keys {
        keys: Vec<&'k Key<'k>>,
        /// How many such keys are too many to be tried.
        untried: usize,
    },
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
        let Ok(set) = serde_json::from_str::<JwkSet<'a>>(json) else {
            return Self::of_certificates(json);
        };
        if set.keys.is_empty() {
            return Err("it has no keys".to_owned());
        }
        Self::at_most(set.keys.len())?;
        Self::of_usable(set.keys.into_iter().map(|key| Key::parse(key.get())))
    }

    /// Parses an object with keys or certificates in PEM by their ids, as Google publishes the keys of its services beside
    /// the JWK Sets.
    fn of_certificates(json: &str) -> Result<Self, String> {
        let set: BTreeMap<String, String> = serde_json::from_str(json)
            .ok()
            .filter(|set: &BTreeMap<_, String>| !set.is_empty() && set.values().all(|key| key.contains(pem::BEGIN)))
            .ok_or("it is not a JWK Set, an object with a list of keys")?;
        Self::at_most(set.len())?;
        Self::of_usable(set.into_iter().map(|(id, text)| {
            let keys = pem::parse(&text).map_err(|problem| format!("key {}: {problem}", quoted(&id)))?;
            let first = keys.into_iter().next().ok_or("a key is missing")?;
            first.with_id(id)
        }))
    }

    /// Makes a set of those keys that can be used. A set without any is an error.
    fn of_usable(given: impl ExactSizeIterator<Item = Result<Key<'a>, String>>) -> Result<Self, String> {
        let count = given.len();
        let (mut keys, mut problems) = (Vec::new(), Vec::new());
        for key in given {
            match key {
                Ok(key) => keys.push(key),
                Err(problem) => problems.push(problem),
            }
        }
        let unusable = unusable(count, &problems);
        match (keys.is_empty(), unusable) {
            (true, Some(unusable)) => Err(unusable),
            (_, unusable) => Ok(Self { keys, unusable }),
        }
    }

    /// Refuses a set of too many keys.
    pub(crate) fn at_most(given: usize) -> Result<(), String> {
        if given > MAX_KEYS {
            return Err(format!("it has {given} keys; at most {MAX_KEYS} are allowed"));
        }
        Ok(())
    }

    /// Makes a set of keys that are known to verify signatures.
    pub(crate) fn of(keys: Vec<Key<'a>>) -> Self {
        let unusable = None;
        Self { keys, unusable }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Key<'a>> {
        self.keys.iter()
    }

    /// The ids of the keys that have one.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.jwk.kid.as_deref())
    }

    /// Which keys can't be used, and why. `None` if all can.
    pub(crate) fn unusable(&self) -> Option<&str> {
        self.unusable.as_deref()
    }

    /// Logs which keys of the settings can't be used, once a day: every request reads the settings.
    pub(super) fn tell_unusable(&self, issuer: &str) {
        if let Some(unusable) = &self.unusable
            && cache::add(&cache::key(&[b"unusable", unusable.as_bytes()]), b"told", DAY)
        {
            log::info(format!("{issuer}: {unusable}"));
        }
    }

    pub(crate) fn into_owned(self) -> KeySet<'static> {
        let owned = |key: Key<'_>| Key {
            algorithms: key.algorithms,
            jwk: key.jwk.into_owned(),
        };
        KeySet {
            keys: self.keys.into_iter().map(owned).collect(),
            unusable: self.unusable,
        }
    }

    /// The keys that may have signed this token. An id is compared with known ids and never used for anything else.
    pub(crate) fn candidates(&self, jws: &Jws<'_>) -> Candidates<'_> {
        let fits = |key: &&Key<'_>| key.algorithms.contains(jws.algorithm);
        let has_id = |key: &&Key<'_>| jws.key_id.is_some() && key.jwk.kid.as_deref() == jws.key_id.as_deref();
        let named = self.keys.iter().find(has_id);
        let is_possible = |key: &&Key<'_>| match named {
            Some(_) => has_id(key),
            None => jws.key_id.is_none() || key.jwk.kid.is_none(),
        };
        let mut fitting = self.keys.iter().filter(is_possible).filter(fits);
        let keys: Vec<_> = fitting.by_ref().take(MAX_TRIES).collect();
        match named {
            Some(named) if keys.is_empty() => Candidates::WrongAlgorithm(named.algorithms),
            _ => Candidates::Keys {
                keys,
                untried: fitting.count(),
            },
        }
    }
}

/// A sentence on the keys that can't be used. `None` if there are none.
fn unusable(given: usize, problems: &[String]) -> Option<String> {
    let named = problems.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>();
    let more = problems.len() - named.len();
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    (!problems.is_empty()).then(|| {
        format!(
            "{} of {given} keys can't be used: {}{more}",
            problems.len(),
            named.join("; ")
        )
    })
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;
    use crate::jws::Padding;

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

    /// The keys that are found for a token: `keys 1 2`, `for RS256`.
    fn found(set: &KeySet<'_>, header: &str) -> String {
        let token = format!("{}.e30.", BASE64_URL_SAFE_NO_PAD.encode(header));
        let places = |keys: Vec<&Key<'_>>| {
            let place = |key: &&Key<'_>| set.iter().position(|other| std::ptr::eq(other, *key)).unwrap();
            keys.iter().map(|key| format!(" {}", place(key))).collect::<String>()
        };
        match set.candidates(&Jws::parse(&token, Padding::Forbidden).unwrap()) {
            Candidates::WrongAlgorithm(expected) => format!("for {expected}"),
            Candidates::Keys { keys, untried: 0 } => format!("keys{}", places(keys)),
            Candidates::Keys { keys, untried } => format!("keys{} and {untried} more", places(keys)),
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
            (r#"{"alg":"RS256","kid":"a"}"#, "keys 0"),
            (r#"{"alg":"PS512","kid":"a"}"#, "keys 0"),
            (r#"{"alg":"ES256","kid":"a"}"#, "keys 2"),
            (r#"{"alg":"ES256","kid":"..\/..\/dev\/null"}"#, "keys 3"),
            (r#"{"alg":"PS256","kid":"b"}"#, "for RS256"),
            (r#"{"alg":"HS256","kid":"b"}"#, "for RS256"),
            (r#"{"alg":"RS256"}"#, "keys 0 1 4"),
            (r#"{"alg":"ES256"}"#, "keys 2 3"),
            (r#"{"alg":"ES384"}"#, "keys"),
            (r#"{"alg":"HS256"}"#, "keys"),
            (r#"{"alg":"RS256","kid":"A"}"#, "keys 4"),
            (r#"{"alg":"RS256","kid":""}"#, "keys 4"),
            (r#"{"alg":"ES256","kid":"c"}"#, "keys"),
        ];
        for (header, expected) in cases {
            assert_eq!(found(&set, header), expected, "{header}");
        }
    }

    /// Row C12 of the field reports: keys by their ids, in PEM.
    #[test]
    fn certificates_by_their_ids_are_a_set() {
        const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
        let long = "k".repeat(257);
        let json = serde_json::json!({ "a": KEY, "b": KEY.replace("MCow", "!"), "c": KEY, &long: KEY }).to_string();
        let set = KeySet::parse(&json).unwrap();
        assert_eq!(set.ids().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(found(&set, r#"{"alg":"EdDSA","kid":"c"}"#), "keys 1");
        assert_eq!(found(&set, r#"{"alg":"EdDSA","kid":"d"}"#), "keys");
        let unusable = set.unusable().unwrap();
        assert!(
            unusable.starts_with("2 of 4 keys can't be used: key \"b\": the PEM is malformed; key \"kkk"),
            "{unusable}"
        );
        let many: serde_json::Map<_, _> = (0..1001).map(|id| (id.to_string(), KEY.into())).collect();
        for (json, problem) in [
            (serde_json::Value::from(many), "1001 keys"),
            (serde_json::json!({ "a": KEY, "b": "x" }), "not a JWK Set"),
            (serde_json::json!({ "a": KEY, "b": [KEY] }), "not a JWK Set"),
        ] {
            let error = KeySet::parse(&json.to_string()).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }

    /// Rows B4 and C13 of the field reports.
    #[test]
    fn a_hundred_keys_are_tried_and_a_thousand_known() {
        let set = set(&vec![ec(""); 1000]);
        let places = (0..100).map(|place| format!(" {place}")).collect::<String>();
        assert_eq!(
            found(&KeySet::parse(&set).unwrap(), r#"{"alg":"ES256"}"#),
            format!("keys{places} and 900 more")
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
        assert_eq!(
            set.unusable(),
            Some(
                "5 of 6 keys can't be used: key \"a\" is a shared secret (kty oct); for HMAC, use the setting secret; a key \
                 is no JWK; a key is no JWK; a key is not for signatures (use); a key is no JWK"
            )
        );
        assert_eq!(found(&set, r#"{"alg":"HS256","kid":"a"}"#), "keys");
    }

    #[test]
    fn a_set_without_a_usable_key_is_an_error() {
        let many = set(&vec![ec(""); 1001]);
        let oct = set(&[r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned()]);
        let cases = [
            ("", "not a JWK Set"),
            ("[]", "not a JWK Set"),
            ("{}", "not a JWK Set"),
            (r#"{"keys":{}}"#, "not a JWK Set"),
            (r#"{"keys":[]}"#, "no keys"),
            (r#"{"keys":[1]}"#, "1 of 1 keys can't be used: a key is no JWK"),
            (&oct, "the setting secret"),
            (&many, "1001 keys"),
        ];
        for (json, problem) in cases {
            let error = KeySet::parse(json).unwrap_err();
            assert!(error.contains(problem), "{json}: {error}");
        }
    }
}
