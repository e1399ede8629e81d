//! JSON that is written while the plugin is compiled.

/// A value.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "`export!` builds it")]
pub enum Json {
    /// `true` or `false`.
    Flag(bool),
    /// A list.
    List(&'static [Self]),
    /// A whole number.
    Number(u32),
    /// An object: names and values.
    Table(&'static [(&'static str, Self)]),
    /// A string.
    Text(&'static str),
}

/// A literal of Rust, which `export!` makes a value of. There is one `json` for each type that a literal may have.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "`export!` builds it")]
pub struct Literal<T>(pub T);

impl Literal<bool> {
    /// `true` or `false`.
    pub const fn json(self) -> Json {
        Json::Flag(self.0)
    }
}

impl Literal<u32> {
    /// A whole number.
    pub const fn json(self) -> Json {
        Json::Number(self.0)
    }
}

impl Literal<&'static str> {
    /// A string.
    pub const fn json(self) -> Json {
        Json::Text(self.0)
    }
}

/// Writes JSON, or only counts its bytes if there is no room.
pub(super) struct Writer<'b> {
    pub(super) bytes: &'b mut [u8],
    pub(super) length: usize,
}

#[expect(
    clippy::indexing_slicing,
    reason = "constant functions have no iterators, and run in the compiler"
)]
impl Writer<'_> {
    pub(super) const fn value(&mut self, value: &Json) {
        match *value {
            Json::Flag(true) => self.raw("true"),
            Json::Flag(false) => self.raw("false"),
            Json::Number(number) => self.number(number),
            Json::Text(text) => self.text(text),
            Json::List(values) => {
                self.raw("[");
                let mut index = 0;
                while index < values.len() {
                    if index > 0 {
                        self.raw(",");
                    }
                    self.value(&values[index]);
                    index += 1;
                }
                self.raw("]");
            }
            Json::Table(members) => {
                self.raw("{");
                let mut index = 0;
                while index < members.len() {
                    if index > 0 {
                        self.raw(",");
                    }
                    let (name, value) = &members[index];
                    self.text(name);
                    self.raw(":");
                    self.value(value);
                    index += 1;
                }
                self.raw("}");
            }
        }
    }

    pub(super) const fn lines(&mut self, texts: &[&str]) {
        self.raw("[");
        let mut index = 0;
        while index < texts.len() {
            if index > 0 {
                self.raw(",");
            }
            self.line(texts[index]);
            index += 1;
        }
        self.raw("]");
    }

    /// Writes a string.
    const fn text(&mut self, text: &str) {
        self.string(text, true);
    }

    /// Writes a string that is one line. Control characters, such as a line break in a description, become spaces.
    pub(super) const fn line(&mut self, text: &str) {
        self.string(text, false);
    }

    const fn string(&mut self, text: &str, has_controls: bool) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bytes = text.as_bytes();
        let mut index = 0;
        self.byte(b'"');
        while index < bytes.len() {
            match bytes[index] {
                quoted @ (b'"' | b'\\') => {
                    self.byte(b'\\');
                    self.byte(quoted);
                }
                0..b' ' | 0x7f if !has_controls => self.byte(b' '),
                control @ 0..b' ' => {
                    self.raw("\\u00");
                    self.byte(DIGITS[(control >> 4) as usize]);
                    self.byte(DIGITS[(control & 15) as usize]);
                }
                byte => self.byte(byte),
            }
            index += 1;
        }
        self.byte(b'"');
    }

    const fn number(&mut self, number: u32) {
        if number >= 10 {
            self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8);
    }

    pub(super) const fn raw(&mut self, text: &str) {
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

/// A value of [`Json`], written as in TOML.
#[doc(hidden)]
#[macro_export]
macro_rules! manifest_json {
    ([$($item:tt),* $(,)?]) => {
        $crate::manifest::Json::List(&[$($crate::manifest_json!($item)),*])
    };
    ({ $($key:tt = $value:tt),* $(,)? }) => {
        $crate::manifest::Json::Table(&[$(($crate::manifest_json!(@key $key), $crate::manifest_json!($value))),*])
    };
    (@key $key:ident) => {
        ::std::stringify!($key)
    };
    (@key $key:literal) => {
        $key
    };
    ($value:literal) => {
        $crate::manifest::Literal($value).json()
    };
}
