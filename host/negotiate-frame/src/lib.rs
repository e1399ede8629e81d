//! The protocol between the gateway and its Kerberos helper: length-prefixed frames, and one question at a time. It is
//! a separate crate because both sides use it, and the helper should have few dependencies.
#![allow(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "both users of this crate handle every case"
)]

/// The size of the largest frame in bytes, without its length prefix. A token has at most 64 KiB, and a reply far less.
pub const MAX_FRAME: usize = 128 << 10;

/// A token that the helper should verify.
#[derive(Debug, Eq, PartialEq)]
pub struct Question {
    /// The channel bindings that the token must have if it has any (RFC 2743, section 1.1.6). `None` if channel
    /// bindings are ignored.
    pub binding: Option<Vec<u8>>,
    /// The token, as the client sent it without its base64.
    pub token: Vec<u8>,
}

/// A message of the helper: first whether it is ready, and then the answer to each question.
#[derive(Debug, Eq, PartialEq)]
pub enum Answer {
    /// The token is valid.
    Accept {
        /// The principal that the token proves, with its realm.
        principal: String,
        /// How long the ticket is valid, in seconds.
        expires_in: u64,
        /// Whether the token is bound to the expected channel.
        channel_bound: bool,
        /// The token for the client. `None` if the mechanism has nothing to say.
        reply: Option<Vec<u8>>,
    },
    /// The client wants to exchange more than one token.
    AnotherLeg,
    /// The token is invalid. The text is the reason, which may quote the token.
    Reject(String),
    /// The helper has keys to verify tokens.
    Ready,
    /// The helper has no keys. The text is the reason.
    Unusable(String),
}

impl Question {
    /// The frame without its length prefix. `None` if it would be too large.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        put_optional(&mut bytes, self.binding.as_deref())?;
        put(&mut bytes, &self.token)?;
        within(bytes)
    }

    /// Reads a frame without its length. `None` if it is malformed.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let binding = take_optional(&mut rest)?;
        let token = take(&mut rest)?.to_vec();
        rest.is_empty().then_some(Self { binding, token })
    }
}

impl Answer {
    /// The frame without its length prefix. `None` if it would be too large.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![self.kind()];
        match self {
            Self::Accept {
                principal,
                expires_in,
                channel_bound,
                reply,
            } => {
                put(&mut bytes, principal.as_bytes())?;
                bytes.extend(expires_in.to_be_bytes());
                bytes.push(u8::from(*channel_bound));
                put_optional(&mut bytes, reply.as_deref())?;
            }
            Self::Reject(why) | Self::Unusable(why) => put(&mut bytes, why.as_bytes())?,
            Self::AnotherLeg | Self::Ready => {}
        }
        within(bytes)
    }

    /// Reads a frame without its length. `None` if it is malformed.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, mut rest) = bytes.split_first()?;
        let answer = match kind {
            0 => Self::Accept {
                principal: text(&mut rest)?,
                expires_in: u64::from_be_bytes(*chunk(&mut rest)?),
                channel_bound: flag(&mut rest)?,
                reply: take_optional(&mut rest)?,
            },
            1 => Self::AnotherLeg,
            2 => Self::Reject(text(&mut rest)?),
            3 => Self::Ready,
            4 => Self::Unusable(text(&mut rest)?),
            _ => return None,
        };
        rest.is_empty().then_some(answer)
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Accept { .. } => 0,
            Self::AnotherLeg => 1,
            Self::Reject(_) => 2,
            Self::Ready => 3,
            Self::Unusable(_) => 4,
        }
    }
}

fn within(bytes: Vec<u8>) -> Option<Vec<u8>> {
    (bytes.len() <= MAX_FRAME).then_some(bytes)
}

fn put(bytes: &mut Vec<u8>, field: &[u8]) -> Option<()> {
    bytes.extend(u32::try_from(field.len()).ok()?.to_be_bytes());
    bytes.extend(field);
    Some(())
}

fn put_optional(bytes: &mut Vec<u8>, field: Option<&[u8]>) -> Option<()> {
    bytes.push(u8::from(field.is_some()));
    field.map_or(Some(()), |field| put(bytes, field))
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(u32::from_be_bytes(*chunk(rest)?)).ok()?;
    let (field, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(field)
}

fn take_optional(rest: &mut &[u8]) -> Option<Option<Vec<u8>>> {
    if flag(rest)? {
        take(rest).map(|field| Some(field.to_vec()))
    } else {
        Some(None)
    }
}

fn text(rest: &mut &[u8]) -> Option<String> {
    String::from_utf8(take(rest)?.to_vec()).ok()
}

fn flag(rest: &mut &[u8]) -> Option<bool> {
    match chunk(rest)? {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
    }
}

fn chunk<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (chunk, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_a_round_trip_and_truncated_ones_are_rejected() {
        for binding in [None, Some(vec![]), Some(b"tls-server-end-point:x".to_vec())] {
            let question = Question {
                binding,
                token: b"token".to_vec(),
            };
            assert_eq!(Question::parse(&question.to_bytes().unwrap()), Some(question));
        }
        for answer in [
            accepted(None),
            accepted(Some(vec![])),
            accepted(Some(vec![1, 2])),
            Answer::AnotherLeg,
            Answer::Reject("why".to_owned()),
            Answer::Ready,
            Answer::Unusable("why".to_owned()),
        ] {
            let bytes = answer.to_bytes().unwrap();
            for cut in 0..bytes.len() {
                assert_eq!(Answer::parse(&bytes[..cut]), None, "{answer:?} cut at {cut}");
            }
            assert_eq!(
                Answer::parse(&[bytes.clone(), vec![0]].concat()),
                None,
                "{answer:?} and more"
            );
            assert_eq!(Answer::parse(&bytes), Some(answer));
        }
    }

    #[test]
    fn malformed_messages_are_rejected() {
        let huge = [&[2][..], &u32::MAX.to_be_bytes(), b"x"].concat();
        for bytes in [&b""[..], &[5], &[255], &[0], &[2, 0, 0, 0, 1, 0xff], &huge] {
            assert_eq!(Answer::parse(bytes), None, "{bytes:?}");
        }
        assert_eq!(Question::parse(&[2, 0, 0, 0, 0]), None);
        assert_eq!(Answer::Reject("x".repeat(MAX_FRAME)).to_bytes(), None);
    }

    fn accepted(reply: Option<Vec<u8>>) -> Answer {
        Answer::Accept {
            principal: "alice@EXAMPLE.TEST".to_owned(),
            expires_in: u64::MAX,
            channel_bound: true,
            reply,
        }
    }
}
