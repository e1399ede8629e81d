//! A template of `identity.headers`, such as `{user}@EXAMPLE.ORG`. It is taken apart when the configuration is read, so a mistake in
//! it is found before any user comes.

use std::fmt;

/// The value of a header: texts, and facts about the user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct HeaderTemplate(Vec<Piece>);

/// A piece of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Piece {
    /// A text, as it is.
    Text(String),
    /// A fact.
    Fact {
        /// Which one.
        fact: Fact,
        /// Whether it is percent-encoded (RFC 3986, section 2.1), all but letters, digits, `-`, `.`, `_` and `~`.
        encoded: bool,
    },
}

/// A fact about the user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fact {
    /// `true` or `false`.
    Admin,
    /// An attribute of this name.
    Attribute(String),
    /// The name of the authenticator.
    Authenticator,
    /// The groups, as the header for groups has them.
    Groups,
    /// An attribute of this name from this authorizer.
    Permit(String, String),
    /// The user's name.
    User,
}

impl HeaderTemplate {
    /// Parses a template. `{{` and `}}` are braces.
    ///
    /// # Errors
    ///
    /// The error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text != text.trim() || text.chars().any(char::is_control) {
            return Err(
                "a header's value is not empty, has no spaces at its ends, and no control characters".to_owned(),
            );
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            match c {
                '{' | '}' if rest.starts_with(c) => {
                    literal.push(c);
                    rest = rest.get(1..).unwrap_or_default();
                }
                '{' => {
                    let (name, after) = rest.split_once('}').ok_or("a { has no }; write {{ for a brace")?;
                    if !literal.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    }
                    pieces.push(placeholder(name)?);
                    rest = after;
                }
                '}' => return Err("a } has no {; write }} for a brace".to_owned()),
                other => literal.push(other),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self(pieces))
    }

    /// Its pieces, in order.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The facts that it needs.
    pub(crate) fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Fact { fact, .. } => Some(fact),
        })
    }
}

fn placeholder(name: &str) -> Result<Piece, String> {
    let (name, encoded) = match name.strip_suffix(":url") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let fact = match (name, name.split_once('.')) {
        ("admin", _) => Fact::Admin,
        ("authenticator", _) => Fact::Authenticator,
        ("groups", _) => Fact::Groups,
        ("user", _) => Fact::User,
        (_, Some(("attributes", name))) if !name.is_empty() => Fact::Attribute(name.to_owned()),
        (_, Some(("authorizers", of))) => match of.split_once('.') {
            Some((authorizer, attribute)) if !authorizer.is_empty() && !attribute.is_empty() => {
                Fact::Permit(authorizer.to_owned(), attribute.to_owned())
            }
            _ => return Err(unknown(name)),
        },
        _ => return Err(unknown(name)),
    };
    Ok(Piece::Fact { fact, encoded })
}

fn unknown(name: &str) -> String {
    format!(
        "{{{name}}} is unknown: expected {{user}}, {{groups}}, {{admin}}, {{authenticator}}, {{attributes.NAME}} or \
         {{authorizers.AUTHORIZER.NAME}}, each with :url at its end to be percent-encoded"
    )
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("admin"),
            Self::Attribute(name) => write!(f, "attributes.{name}"),
            Self::Authenticator => f.write_str("authenticator"),
            Self::Groups => f.write_str("groups"),
            Self::Permit(authorizer, name) => write!(f, "authorizers.{authorizer}.{name}"),
            Self::User => f.write_str("user"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(template: &HeaderTemplate) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => format!("<{text}>"),
            Piece::Fact { fact, encoded: true } => format!("{fact}%"),
            Piece::Fact { fact, encoded: false } => fact.to_string(),
        };
        Vec::from_iter(template.pieces().iter().map(piece)).join(" ")
    }

    #[test]
    fn a_template_is_texts_and_facts() {
        for (text, expected) in [
            ("{user}", "user"),
            ("{user}@EXAMPLE.ORG", "user <@EXAMPLE.ORG>"),
            ("u={user:url};g={groups}", "<u=> user% <;g=> groups"),
            (
                "{attributes.e.mail} {admin}{authenticator}",
                "attributes.e.mail < > admin authenticator",
            ),
            ("{authorizers.editors.role}", "authorizers.editors.role"),
            ("{{user}} is {user}", "<{user} is > user"),
            ("}}{{", "<}{>"),
            ("größe", "<größe>"),
        ] {
            let template = HeaderTemplate::parse(text).unwrap();
            assert_eq!(shown(&template), expected, "{text}");
        }
    }

    #[test]
    fn a_mistake_in_a_template_is_told() {
        for (text, expected) in [
            ("", "is not empty"),
            (" {user}", "no spaces at its ends"),
            ("{user}\n", "no spaces at its ends"),
            ("a\u{7}{user}", "no control characters"),
            ("{user", "a { has no }"),
            ("user}", "a } has no {"),
            ("{}", "{} is unknown"),
            ("{name}", "{name} is unknown"),
            ("{user:base64}", "{user:base64} is unknown"),
            ("{attributes.}", "{attributes.} is unknown"),
            ("{authorizers.a}", "{authorizers.a} is unknown"),
        ] {
            let error = HeaderTemplate::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
