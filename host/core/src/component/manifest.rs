//! The manifest that a component may carry: what it is, which grants it asks for, and how it is tested. It is JSON in a custom
//! section, either of the component itself or of a module in it, where the linkers of most languages leave it.

use http::HeaderName;
use http::header;
use serde::Deserialize;
use wasm_encoder::CustomSection;
use wasm_encoder::Section;
use wasmparser::BinaryReader;
use wasmparser::CustomSectionReader;
use wasmparser::Parser;
use wasmparser::Payload;

use super::inspect::LoadError;
use crate::grants::GrantKey;
use crate::grants::HttpGrant;
use crate::grants::LoginGrant;
use crate::grants::OTHERS;

/// The name of the custom section.
pub const MANIFEST_SECTION: &str = "portcullis:manifest";

/// The most bytes of a manifest.
pub const MAX_MANIFEST: usize = 64 << 10;

/// The longest name and version, in bytes.
const MAX_NAME: usize = 128;
/// The longest description, in bytes.
const MAX_DESCRIPTION: usize = 1024;
/// The most grants of one key.
const MAX_GRANTS: usize = 64;
/// The longest value of a grant, in bytes.
const MAX_VALUE: usize = 512;

/// What a component says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Manifest {
    /// The plugin's name: 1 to 128 bytes.
    pub name: String,
    /// Its version, at most 128 bytes.
    pub version: Option<String>,
    /// What it does, at most 1 KiB in one line.
    pub description: Option<String>,
    /// All grants that it asks for, besides those that its settings name: pairs of the key and a name, as in
    /// [`AskedGrant`](crate::AskedGrant). `None` if it doesn't say.
    pub grants: Option<Vec<(GrantKey, String)>>,
    /// Whether its login may be asked about a session again with what the session keeps: to ask spends nothing. Then it is also asked
    /// about sessions that no request is sent with, because a connection of theirs is open.
    pub idempotent_renewal: bool,
    /// Requests, and what is expected of the decisions about them whatever the settings are: a list of cases as `plugin test`
    /// has them. The crate `portcullis-loader` asks about them before it uses the plugin; this crate doesn't. `None` if it has
    /// none.
    pub self_test: Option<serde_json::Value>,
}

/// Why a manifest can't be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the component's manifest (custom section {MANIFEST_SECTION:?}) {0}")]
pub struct ManifestError(String);

/// The JSON. Unknown keys are for later versions.
#[derive(Deserialize)]
struct Raw {
    name: String,
    version: Option<String>,
    description: Option<String>,
    grants: Option<RawGrants>,
    #[serde(default)]
    idempotent_renewal: bool,
    self_test: Option<serde_json::Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawGrants {
    client_certificate: bool,
    cookies: Vec<String>,
    headers: Vec<String>,
    http: Vec<String>,
    login: Vec<String>,
    negotiate: bool,
    query: Vec<String>,
    signing: Vec<String>,
}

impl Manifest {
    /// Reads the JSON of a manifest.
    ///
    /// # Errors
    ///
    /// Returns what is malformed or exceeds its bound.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        let error = |why: String| ManifestError(why);
        if json.len() > MAX_MANIFEST {
            return Err(error(format!(
                "has {} bytes; at most {MAX_MANIFEST} are read",
                json.len()
            )));
        }
        let raw: Raw = serde_json::from_slice(json).map_err(|why| error(format!("is malformed: {why}")))?;
        let text = |key: &str, text: &str, most: usize| {
            let is_good = !text.is_empty() && text.len() <= most && !text.contains(char::is_control);
            let expected = format!("needs a {key} of 1 to {most} bytes without control characters");
            is_good.then_some(()).ok_or_else(|| error(expected))
        };
        text("name", &raw.name, MAX_NAME)?;
        raw.version.iter().try_for_each(|own| text("version", own, MAX_NAME))?;
        let description = raw.description.iter();
        description
            .into_iter()
            .try_for_each(|own| text("description", own, MAX_DESCRIPTION))?;
        let grants = raw.grants.map(RawGrants::parse).transpose().map_err(error)?;
        Ok(Self {
            name: raw.name,
            version: raw.version,
            description: raw.description,
            grants,
            idempotent_renewal: raw.idempotent_renewal,
            self_test: raw.self_test,
        })
    }
}

impl Manifest {
    /// Puts a manifest, as JSON, into a component, in place of the one that the component itself has. Those of the modules in
    /// it stay, and count no longer.
    ///
    /// # Errors
    ///
    /// Returns an error if the manifest can't be read, or if the bytes are no WebAssembly component.
    pub fn embed(wasm: &[u8], json: &[u8]) -> Result<Vec<u8>, LoadError> {
        Self::parse(json)?;
        if !Parser::is_component(wasm) {
            return Err(match Parser::is_core_wasm(wasm) {
                true => LoadError::CoreModule,
                false => LoadError::NotWasm("it doesn't start with the header of a component"),
            });
        }
        let invalid = |error: wasmparser::BinaryReaderError| LoadError::Invalid(error.to_string());
        let (header, sections) = wasm.split_at_checked(HEADER).unwrap_or((wasm, &[]));
        let mut embedded = header.to_vec();
        let mut reader = BinaryReader::new(sections, HEADER);
        while !reader.eof() {
            let start = reader.current_position();
            let id = reader.read_u8().map_err(invalid)?;
            let content = reader.read_reader().map_err(invalid)?;
            let is_manifest = id == CUSTOM && {
                let section = CustomSectionReader::new(content).map_err(invalid)?;
                section.name() == MANIFEST_SECTION
            };
            let section = sections.get(start..reader.current_position());
            if !is_manifest {
                embedded.extend(section.unwrap_or_default());
            }
        }
        let section = CustomSection {
            name: MANIFEST_SECTION.into(),
            data: json.into(),
        };
        section.append_to(&mut embedded);
        Ok(embedded)
    }
}

/// How many bytes are before the first section.
const HEADER: usize = 8;

/// The number of custom sections.
const CUSTOM: u8 = 0;

impl RawGrants {
    fn parse(self) -> Result<Vec<(GrantKey, String)>, String> {
        let mut grants = Vec::new();
        for (key, values) in [
            (GrantKey::Headers, self.headers),
            (GrantKey::Cookies, self.cookies),
            (GrantKey::Query, self.query),
            (GrantKey::Http, self.http),
            (GrantKey::Login, self.login),
            (GrantKey::Signing, self.signing),
        ] {
            let label = key.label();
            if values.len() > MAX_GRANTS {
                return Err(format!(
                    "asks for {} {label}; at most {MAX_GRANTS} are read",
                    values.len()
                ));
            }
            for value in values {
                if !names_a_grant(key, &value) {
                    let value: String = value.chars().filter(|c| !c.is_control()).take(64).collect();
                    return Err(format!("asks in grants.{label} for {value:?}, which can't be granted"));
                }
                grants.push((key, value));
            }
        }
        let flags = [
            (GrantKey::ClientCertificate, self.client_certificate),
            (GrantKey::Negotiate, self.negotiate),
        ];
        let flags = flags.into_iter().filter(|(_, is_asked)| *is_asked);
        grants.extend(flags.map(|(key, _)| (key, String::new())));
        Ok(grants)
    }
}

fn names_a_grant(key: GrantKey, value: &str) -> bool {
    let is_text = !value.is_empty() && value.len() <= MAX_VALUE && !value.contains(char::is_control);
    let fits = match key {
        GrantKey::Headers => value.parse::<HeaderName>().is_ok_and(|name| name != header::COOKIE),
        GrantKey::Http => value.parse::<HttpGrant>().is_ok(),
        GrantKey::Login => value.parse::<LoginGrant>().is_ok(),
        _ => true,
    };
    is_text && (fits || value == OTHERS)
}

/// The manifests that are found in a component, in the order of its sections.
#[derive(Debug, Default)]
pub(super) struct Found<'w> {
    /// Those of the component itself.
    own: Vec<&'w [u8]>,
    /// Those of the modules and components in it.
    nested: Vec<&'w [u8]>,
}

impl<'w> Found<'w> {
    /// Notes a section, if it is a manifest. `depth` is how many modules and components it is in.
    pub(super) fn note(&mut self, payload: &Payload<'w>, depth: u32) {
        if let Payload::CustomSection(section) = payload
            && section.name() == MANIFEST_SECTION
        {
            let found = if depth == 0 { &mut self.own } else { &mut self.nested };
            found.push(section.data());
        }
    }

    /// The one that counts. That of the component itself wins over those in it, so that tools can replace one.
    pub(super) fn parse(self) -> Result<Option<Manifest>, ManifestError> {
        let mut candidates = if self.own.is_empty() { self.nested } else { self.own };
        candidates.dedup();
        match candidates.as_slice() {
            [] => Ok(None),
            [one] => Manifest::parse(one).map(Some),
            [..] => Err(ManifestError("isn't the only one: remove all others".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_strictly_and_unknown_keys_are_left_to_later_versions() {
        let manifest = Manifest::parse(
            br#"{"name": "keys", "version": "1.2", "description": "Keys.", "later": [1], "grants":
            {"headers": ["X-Key"], "cookies": ["a"], "query": ["q"], "http": ["https://a.example", "*"],
             "login": ["https://b.example/oauth"], "signing": ["main"], "client_certificate": true, "negotiate": true,
             "later": {}}}"#,
        )
        .unwrap();
        assert_eq!(
            (
                manifest.name.as_str(),
                manifest.version.as_deref(),
                manifest.description.as_deref()
            ),
            ("keys", Some("1.2"), Some("Keys."))
        );
        let grants = manifest.grants.unwrap();
        let grants = Vec::from_iter(grants.iter().map(|(key, name)| (key.label(), name.as_str())));
        assert_eq!(
            grants,
            [
                ("headers", "X-Key"),
                ("cookies", "a"),
                ("query", "q"),
                ("http", "https://a.example"),
                ("http", "*"),
                ("login", "https://b.example/oauth"),
                ("signing", "main"),
                ("client_certificate", ""),
                ("negotiate", ""),
            ]
        );
        assert_eq!(Manifest::parse(br#"{"name": "n"}"#).unwrap().grants, None);
        assert_eq!(Manifest::parse(br#"{"name": "n"}"#).unwrap().self_test, None);
        for (json, expected) in [
            (&br#"{"name": "n"}"#[..], false),
            (br#"{"name": "n", "idempotent_renewal": false}"#, false),
            (br#"{"name": "n", "idempotent_renewal": true}"#, true),
        ] {
            assert_eq!(Manifest::parse(json).unwrap().idempotent_renewal, expected);
        }
        let tested = Manifest::parse(br#"{"name": "n", "self_test": [{"name": "a"}]}"#).unwrap();
        assert_eq!(tested.self_test, Some(serde_json::json!([{"name": "a"}])));
        assert_eq!(
            Manifest::parse(br#"{"name": "n", "grants": {}}"#).unwrap().grants,
            Some(Vec::new())
        );
    }

    #[test]
    fn what_is_malformed_or_too_large_is_an_error_that_says_why() {
        let long = format!(r#"{{"name": "{}"}}"#, "n".repeat(200));
        let many = format!(r#"{{"name": "n", "grants": {{"query": {:?}}}}}"#, vec!["a"; 100]);
        let huge = " ".repeat(MAX_MANIFEST + 1);
        for (json, why) in [
            ("", "is malformed"),
            ("[]", "is malformed"),
            ("{}", "missing field `name`"),
            (r#"{"name": "a", "name": "b"}"#, "duplicate field"),
            (r#"{"name": ""}"#, "needs a name of 1 to 128 bytes"),
            (r#"{"name": "a\nb"}"#, "needs a name"),
            (r#"{"name": "n", "description": ""}"#, "needs a description"),
            (r#"{"name": "n", "version": "1\u0000"}"#, "needs a version"),
            (r#"{"name": "n", "grants": {"headers": "x"}}"#, "is malformed"),
            (r#"{"name": "n", "idempotent_renewal": "yes"}"#, "is malformed"),
            (
                r#"{"name": "n", "grants": {"headers": ["a b"]}}"#,
                "grants.headers for \"a b\"",
            ),
            (
                r#"{"name": "n", "grants": {"headers": ["Cookie"]}}"#,
                "can't be granted",
            ),
            (r#"{"name": "n", "grants": {"http": ["example.org"]}}"#, "grants.http"),
            (r#"{"name": "n", "grants": {"login": ["b.example"]}}"#, "grants.login"),
            (r#"{"name": "n", "grants": {"cookies": [""]}}"#, "grants.cookies"),
            (&long, "needs a name"),
            (&many, "asks for 100 query"),
            (&huge, "at most 65536 are read"),
        ] {
            let error = Manifest::parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{json:.80}: {error}");
        }
    }

    #[test]
    fn a_manifest_is_embedded_in_place_of_an_earlier_one() {
        let empty = b"\0asm\x0d\0\x01\0";
        let other = CustomSection {
            name: "other".into(),
            data: (&b"x"[..]).into(),
        };
        let mut wasm = empty.to_vec();
        other.append_to(&mut wasm);
        let first = Manifest::embed(&wasm, br#"{"name": "first"}"#).unwrap();
        let second = Manifest::embed(&first, br#"{"name": "second"}"#).unwrap();
        for (wasm, name) in [(&first, "first"), (&second, "second")] {
            let mut found = Found::default();
            let mut sections = 0;
            for payload in Parser::new(0).parse_all(wasm) {
                let payload = payload.unwrap();
                found.note(&payload, 0);
                sections += usize::from(matches!(payload, Payload::CustomSection(_)));
            }
            assert_eq!((sections, found.parse().unwrap().unwrap().name.as_str()), (2, name));
        }
        let json = br#"{"name": "n"}"#;
        let damaged = [empty, &b"\0\x7fx"[..]].concat();
        for wasm in [&b""[..], b"#!/bin/sh", b"\0asm\x01\0\0\0", &damaged] {
            assert!(Manifest::embed(wasm, json).is_err(), "{wasm:?}");
        }
        assert!(Manifest::embed(empty, b"{}").is_err());
    }

    #[test]
    fn the_manifest_of_the_component_itself_wins_and_two_are_too_many() {
        let of = |own: &[&'static str], nested: &[&'static str]| {
            let bytes = |texts: &[&'static str]| Vec::from_iter(texts.iter().map(|text| text.as_bytes()));
            let (own, nested) = (bytes(own), bytes(nested));
            let parsed = Found { own, nested }.parse();
            parsed.map(|manifest| manifest.map(|manifest| manifest.name))
        };
        let (a, b) = (r#"{"name": "a"}"#, r#"{"name": "b"}"#);
        assert_eq!(of(&[], &[]), Ok(None));
        assert_eq!(of(&[], &[a]), Ok(Some("a".to_owned())));
        assert_eq!(of(&[], &[a, a]), Ok(Some("a".to_owned())));
        assert_eq!(of(&[b], &[a, a]), Ok(Some("b".to_owned())));
        for (own, nested) in [(&[a, b][..], &[][..]), (&[], &[a, b])] {
            let error = of(own, nested).unwrap_err();
            assert!(error.to_string().contains("isn't the only one"), "{error}");
        }
    }
}
