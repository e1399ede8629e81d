//! The name of a new plugin: what cargo, npm and the gateway all accept.

use std::fmt;
use std::str::FromStr;

/// A name in kebab-case or snake_case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PluginName(String);

impl PluginName {
    /// The name as it is.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of its library: with underscores.
    pub(super) fn snake(&self) -> String {
        self.0.replace('-', "_")
    }

    /// The name of its type: `MyPlugin`.
    pub(super) fn camel(&self) -> String {
        let words = self.0.split(['-', '_']);
        let capital = |word: &str| {
            let mut letters = word.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        };
        words.map(capital).collect()
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for PluginName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |rule: &str| Err(format!("{rule}, such as \"api-key\" or \"api_key\""));
        let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if text.is_empty() || text.len() > MAX_NAME {
            return wrong("a name has 1 to 64 letters");
        }
        if !text.bytes().all(of_name) {
            return wrong("a name has small letters from a to z, digits, and - or _ between words");
        }
        if !text.starts_with(|first: char| first.is_ascii_lowercase()) {
            return wrong("a name begins with a letter");
        }
        if text.contains('-') && text.contains('_') {
            return wrong("words are separated by - or by _, not by both");
        }
        if text.split(['-', '_']).any(str::is_empty) {
            return wrong("there is one - or _ between two words, and none at the end");
        }
        if RESERVED.contains(&text) || text.replace('_', "-") == SDK {
            return Err(format!(
                "{text:?} is a word of Rust or of cargo, which can't be the name of a crate"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The longest name, in bytes: that of an authenticator.
const MAX_NAME: usize = 64;

/// The crate that every plugin in Rust depends on.
const SDK: &str = "portcullis-sdk";

/// Words that `cargo new` refuses for a library.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_for_every_tool_or_the_error_says_the_rule() {
        for (text, snake, camel) in [
            ("a", "a", "A"),
            ("api-key", "api_key", "ApiKey"),
            ("api_key2", "api_key2", "ApiKey2"),
            ("x-1-y", "x_1_y", "X1Y"),
        ] {
            let name: PluginName = text.parse().unwrap();
            assert_eq!((name.snake().as_str(), name.camel().as_str()), (snake, camel));
        }
        let long = "a".repeat(65);
        for (text, rule) in [
            ("", "1 to 64 letters"),
            (&*long, "1 to 64 letters"),
            ("Api", "small letters"),
            ("a b", "small letters"),
            ("../a", "small letters"),
            ("ä", "small letters"),
            ("1a", "begins with a letter"),
            ("-a", "begins with a letter"),
            ("a-b_c", "not by both"),
            ("a--b", "one - or _ between"),
            ("a-", "none at the end"),
            ("match", "word of Rust"),
            ("test", "word of Rust"),
            ("portcullis-sdk", "word of Rust"),
        ] {
            let error = text.parse::<PluginName>().unwrap_err();
            assert!(error.contains(rule), "{text:?}: {error}");
        }
    }
}
