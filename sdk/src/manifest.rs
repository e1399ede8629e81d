//! The manifest that `export!` writes into the component: what the plugin is, which grants it asks for, and the requests by which
//! the gateway tests it. It is written while the plugin is compiled, as JSON.

mod json;

use json::Writer;

pub use json::Json;
pub use json::Literal;

/// The grants that a plugin asks for, besides those that its settings name. `export!` makes one of its `grants`.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "`export!` builds it")]
pub struct Grants {
    /// Whether it reads the client's certificate.
    pub client_certificate: bool,
    /// The cookies that it reads.
    pub cookies: &'static [&'static str],
    /// The headers that it reads.
    pub headers: &'static [&'static str],
    /// The servers that it sends requests to, such as `https://api.example`.
    pub http: &'static [&'static str],
    /// The places to which it sends browsers, such as `https://id.example/authorize`.
    pub login: &'static [&'static str],
    /// Whether it checks Negotiate tokens, of an acceptor that its settings don't name.
    pub negotiate: bool,
    /// The query parameters that it reads.
    pub query: &'static [&'static str],
    /// The keys that it signs with.
    pub signing: &'static [&'static str],
}

impl Grants {
    /// No grants.
    pub const NONE: Self = Self {
        client_certificate: false,
        cookies: &[],
        headers: &[],
        http: &[],
        login: &[],
        negotiate: false,
        query: &[],
        signing: &[],
    };
}

/// What the manifest says.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "`export!` builds it")]
pub struct Manifest {
    /// The name of the crate.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its description. Empty if it has none.
    pub description: &'static str,
    /// `None` if the author doesn't say which grants it asks for.
    pub grants: Option<Grants>,
    /// Whether a login may be asked again with what a session keeps.
    pub idempotent_renewal: bool,
    /// The cases of the self-test. `None` if there is none.
    pub self_test: Option<Json>,
}

impl Manifest {
    /// How many bytes its JSON has.
    pub const fn length(&self) -> usize {
        let mut writer = Writer {
            bytes: &mut [],
            length: 0,
        };
        writer.manifest(self);
        writer.length
    }

    /// The JSON. `N` is its [`length`](Self::length).
    pub const fn json<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        let mut writer = Writer {
            bytes: &mut bytes,
            length: 0,
        };
        writer.manifest(self);
        bytes
    }
}

impl Writer<'_> {
    const fn manifest(&mut self, manifest: &Manifest) {
        self.raw("{\"name\":");
        self.line(manifest.name);
        self.raw(",\"version\":");
        self.line(manifest.version);
        if !manifest.description.is_empty() {
            self.raw(",\"description\":");
            self.line(manifest.description);
        }
        if let Some(grants) = &manifest.grants {
            self.raw(",\"grants\":{\"headers\":");
            self.lines(grants.headers);
            self.raw(",\"cookies\":");
            self.lines(grants.cookies);
            self.raw(",\"query\":");
            self.lines(grants.query);
            self.raw(",\"http\":");
            self.lines(grants.http);
            self.raw(",\"login\":");
            self.lines(grants.login);
            self.raw(",\"signing\":");
            self.lines(grants.signing);
            self.raw(",\"client_certificate\":");
            self.value(&Json::Flag(grants.client_certificate));
            self.raw(",\"negotiate\":");
            self.value(&Json::Flag(grants.negotiate));
            self.raw("}");
        }
        if manifest.idempotent_renewal {
            self.raw(",\"idempotent_renewal\":true");
        }
        if let Some(cases) = &manifest.self_test {
            self.raw(",\"self_test\":");
            self.value(cases);
        }
        self.raw("}");
    }
}

/// The grants of a manifest, as `export!` takes them.
#[doc(hidden)]
#[macro_export]
macro_rules! manifest_grants {
    () => {
        ::std::option::Option::None
    };
    ({ $($key:ident = $value:tt),* $(,)? }) => {
        ::std::option::Option::Some($crate::manifest::Grants {
            $($key: $crate::manifest_grants!(@value $value),)*
            ..$crate::manifest::Grants::NONE
        })
    };
    (@value [$($name:expr),* $(,)?]) => {
        &[$($name),*]
    };
    (@value $flag:literal) => {
        $flag
    };
}

/// The self-test of a manifest, as `export!` takes it.
#[doc(hidden)]
#[macro_export]
macro_rules! manifest_self_test {
    () => {
        ::std::option::Option::None
    };
    ([$($case:tt),* $(,)?]) => {
        ::std::option::Option::Some($crate::manifest_json!([$($case),*]))
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_manifest_is_json_whatever_its_texts_are() {
        const WHOLE: Manifest = Manifest {
            name: "keys",
            version: "1.2.3-rc.1+a",
            description: "Says \"who\\what\":\nü\u{7f}",
            grants: Some(Grants {
                headers: &["x-key", "x-\"other"],
                http: &["https://a.example"],
                signing: &["client"],
                client_certificate: true,
                ..Grants::NONE
            }),
            idempotent_renewal: true,
            self_test: Some(crate::manifest_json!([
                { name = "a", request = { headers = { "X-Key" = ["", "b\t\"c"] } }, expect = { status = 401, calls = [] } },
                { name = "b", other = { is = true, isnt = false, zero = 0, most = 4294967295 }, },
            ])),
        };
        const BARE: Manifest = Manifest {
            description: "",
            grants: None,
            idempotent_renewal: false,
            self_test: None,
            ..WHOLE
        };
        let whole = WHOLE.json::<{ WHOLE.length() }>();
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&whole).unwrap(),
            json!({
                "name": "keys",
                "version": "1.2.3-rc.1+a",
                "description": "Says \"who\\what\": ü ",
                "grants": {
                    "headers": ["x-key", "x-\"other"],
                    "cookies": [],
                    "query": [],
                    "http": ["https://a.example"],
                    "login": [],
                    "signing": ["client"],
                    "client_certificate": true,
                    "negotiate": false,
                },
                "idempotent_renewal": true,
                "self_test": [
                    {
                        "name": "a",
                        "request": { "headers": { "X-Key": ["", "b\t\"c"] } },
                        "expect": { "status": 401, "calls": [] },
                    },
                    { "name": "b", "other": { "is": true, "isnt": false, "zero": 0, "most": 4_294_967_295_u32 } },
                ],
            })
        );
        let bare = BARE.json::<{ BARE.length() }>();
        assert_eq!(bare, *br#"{"name":"keys","version":"1.2.3-rc.1+a"}"#);
    }
}
