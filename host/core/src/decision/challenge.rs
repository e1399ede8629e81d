//! A challenge for a `WWW-Authenticate` header (RFC 9110, section 11.6.1). Its parts come from a plugin and are checked
//! here, so that the client gets one well-formed header value.

use http::HeaderValue;

const MAX_PARAMETERS: usize = 16;
const MAX_LENGTH: usize = 4 * 1024;

/// A challenge as it is sent: `Bearer realm="x", error="invalid_token"`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge(HeaderValue);

impl Challenge {
    /// Its length in bytes.
    pub(crate) fn size(&self) -> usize {
        self.0.len()
    }

    /// Formats a challenge; the values of its parameters are quoted.
    ///
    /// Returns `None` if the scheme or the name of a parameter is not a token (RFC 9110, section 5.6.2), if a value has
    /// a control character, or if the challenge has more than 16 parameters or 4 KiB.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(
        scheme: &str,
        parameters: impl IntoIterator<Item = (N, V)>,
    ) -> Option<Self> {
        let mut text = token(scheme)?.to_owned();
        for (index, (name, value)) in parameters.into_iter().enumerate() {
            if index == MAX_PARAMETERS || text.len() > MAX_LENGTH {
                return None;
            }
            text.push_str(if index == 0 { " " } else { ", " });
            text.push_str(token(name.as_ref())?);
            text.push('=');
            push_quoted(&mut text, value.as_ref())?;
        }
        if text.len() > MAX_LENGTH {
            return None;
        }
        HeaderValue::try_from(text).ok().map(Self)
    }

    /// The value of a `WWW-Authenticate` header field.
    pub fn as_header(&self) -> &HeaderValue {
        &self.0
    }
}

fn token(text: &str) -> Option<&str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (!text.is_empty() && text.bytes().all(allowed)).then_some(text)
}

fn push_quoted(text: &mut String, value: &str) -> Option<()> {
    text.push('"');
    for c in value.chars() {
        if c.is_control() {
            return None;
        }
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_quoted() {
        let written = |parameters: &[(&str, &str)]| {
            Challenge::new("Bearer", parameters.iter().copied()).map(|challenge| challenge.0)
        };
        assert_eq!(written(&[]).unwrap(), "Bearer");
        assert_eq!(
            written(&[("realm", "a \"b\" \\ c"), ("error", "invalid_token")]).unwrap(),
            r#"Bearer realm="a \"b\" \\ c", error="invalid_token""#
        );
    }

    #[test]
    fn nothing_can_be_injected() {
        let long = "x".repeat(MAX_LENGTH);
        for (scheme, name, value) in [
            ("", "realm", "x"),
            ("Basic realm", "realm", "x"),
            ("Basic\r\n", "realm", "x"),
            ("Basic", "realm=\"\"", "x"),
            ("Basic", "", "x"),
            ("Basic", "realm", "x\r\nSet-Cookie: a=b"),
            ("Basic", "realm", "x\0"),
            ("Basic", "realm", &long),
        ] {
            assert_eq!(Challenge::new(scheme, [(name, value)]), None, "{scheme:?} {name:?}");
        }
    }

    #[test]
    fn a_challenge_has_a_bound_on_its_size_and_on_its_parameters() {
        let of_size = |size: usize| Challenge::new("Basic", [("realm", "x".repeat(size - "Basic realm=\"\"".len()))]);
        let challenge = of_size(4096).unwrap();
        assert_eq!(challenge.as_header().len(), 4096);
        assert_eq!(challenge.size(), 4096);
        assert_eq!(of_size(4097), None);
        let with_parameters = |count: usize| Challenge::new("Basic", vec![("a", "b"); count]);
        assert!(with_parameters(16).is_some());
        assert_eq!(with_parameters(17), None);
    }
}
