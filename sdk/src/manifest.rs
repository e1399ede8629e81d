//! The manifest that `export!` writes into the component: what the plugin is, and which grants it asks for. It is written
//! while the plugin is compiled, as JSON.

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

/// Writes JSON, or only counts its bytes if there is no room.
struct Writer<'b> {
    bytes: &'b mut [u8],
    length: usize,
}

#[expect(
    clippy::indexing_slicing,
    reason = "constant functions have no iterators, and run in the compiler"
)]
impl Writer<'_> {
    const fn manifest(&mut self, manifest: &Manifest) {
        self.raw("{\"name\":");
        self.text(manifest.name);
        self.raw(",\"version\":");
        self.text(manifest.version);
        if !manifest.description.is_empty() {
            self.raw(",\"description\":");
            self.text(manifest.description);
        }
        if let Some(grants) = &manifest.grants {
            self.raw(",\"grants\":{\"headers\":");
            self.list(grants.headers);
            self.raw(",\"cookies\":");
            self.list(grants.cookies);
            self.raw(",\"query\":");
            self.list(grants.query);
            self.raw(",\"http\":");
            self.list(grants.http);
            self.raw(",\"login\":");
            self.list(grants.login);
            self.raw(",\"signing\":");
            self.list(grants.signing);
            self.raw(",\"client_certificate\":");
            self.raw(if grants.client_certificate { "true" } else { "false" });
            self.raw(",\"negotiate\":");
            self.raw(if grants.negotiate { "true" } else { "false" });
            self.raw("}");
        }
        self.raw("}");
    }

    const fn list(&mut self, texts: &[&str]) {
        self.raw("[");
        let mut index = 0;
        while index < texts.len() {
            if index > 0 {
                self.raw(",");
            }
            self.text(texts[index]);
            index += 1;
        }
        self.raw("]");
    }

    /// Writes a string. Control characters, such as a line break in a description, become spaces.
    const fn text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut index = 0;
        self.byte(b'"');
        while index < bytes.len() {
            match bytes[index] {
                quoted @ (b'"' | b'\\') => {
                    self.byte(b'\\');
                    self.byte(quoted);
                }
                0..b' ' | 0x7f => self.byte(b' '),
                byte => self.byte(byte),
            }
            index += 1;
        }
        self.byte(b'"');
    }

    const fn raw(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            self.byte(bytes[index]);
            index += 1;
        }
    }

    const fn byte(&mut self, byte: u8) {
        if self.length < self.bytes.len() {
            self.bytes[self.length] = byte;
        }
        self.length += 1;
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
        };
        const BARE: Manifest = Manifest {
            description: "",
            grants: None,
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
            })
        );
        let bare = BARE.json::<{ BARE.length() }>();
        assert_eq!(bare, *br#"{"name":"keys","version":"1.2.3-rc.1+a"}"#);
    }
}
