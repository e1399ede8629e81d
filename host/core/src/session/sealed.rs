//! What a session cookie holds, and how it is written: as JSON, followed by the bytes that a login keeps. In JSON, these would take
//! a third more of a cookie that has room for 4 KiB.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use aws_lc_rs::digest;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;

use crate::decision::Identity;
use crate::login::Handle;

/// The content of a cookie. The names are short to keep the cookie small.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Sealed {
    #[serde(rename = "i")]
    pub(super) id: SessionId,
    #[serde(rename = "u")]
    pub(super) identity: Arc<Identity>,
    #[serde(rename = "a")]
    pub(super) authenticator: Arc<str>,
    #[serde(rename = "f")]
    pub(super) fingerprint: Arc<str>,
    #[serde(rename = "b")]
    pub(super) begun: Time,
    /// When it was used last, as far as its cookie was renewed.
    #[serde(rename = "s")]
    pub(super) seen: Time,
    #[serde(rename = "e")]
    pub(super) ends: Time,
    /// When its login must be asked again. `None` if it was started by credentials.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<Time>,
    /// Whether a browser has brought it back from its login, and no request has been admitted by it since.
    #[serde(rename = "n", default, skip_serializing_if = "is_false")]
    pub(super) unused: bool,
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) handles: Vec<HandleDigest>,
    /// Whether the rest of the cookie is what the login keeps.
    #[serde(rename = "k", default, skip_serializing_if = "is_false")]
    pub(super) has_keep: bool,
    #[serde(skip)]
    pub(super) keep: Option<Vec<u8>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Sealed {
    /// A session that begins now, with nothing of a login.
    pub(super) fn new(
        id: SessionId,
        identity: Arc<Identity>,
        (authenticator, fingerprint): (Arc<str>, Arc<str>),
        begun: Time,
        ends: Time,
    ) -> Self {
        Self {
            id,
            identity,
            authenticator,
            fingerprint,
            begun,
            seen: begun,
            ends,
            due: None,
            unused: false,
            handles: Vec::new(),
            has_keep: false,
            keep: None,
        }
    }

    /// The bytes to seal.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let written = Self {
            has_keep: self.keep.is_some(),
            ..self.clone()
        };
        let mut bytes = serde_json::to_vec(&written).ok()?;
        bytes.extend_from_slice(self.keep.as_deref().unwrap_or_default());
        Some(bytes)
    }

    /// Reads what was sealed.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut json = serde_json::Deserializer::from_slice(bytes).into_iter::<Self>();
        let mut sealed = json.next()?.ok()?;
        let rest = bytes.get(json.byte_offset()..)?;
        match sealed.has_keep {
            true => sealed.keep = Some(rest.to_vec()),
            false if !rest.is_empty() => return None,
            false => {}
        }
        Some(sealed)
    }
}

/// A point in time, in milliseconds since 1970. In whole seconds, a session of one second could expire at once.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(super) struct Time(pub(super) u64);

impl Time {
    /// The current time.
    pub(super) fn now() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }

    /// The time this much later. `None` if that is less than a millisecond, or never.
    pub(super) fn after(self, by: Duration) -> Option<Self> {
        let by = u64::try_from(by.as_millis()).ok().filter(|by| *by > 0)?;
        self.0.checked_add(by).map(Self)
    }

    /// How long it is from now until this time. `None` if it has come.
    pub(super) fn left(self, now: Self) -> Option<Duration> {
        let left = self.0.checked_sub(now.0).filter(|left| *left > 0)?;
        Some(Duration::from_millis(left))
    }

    /// How long ago it was. Zero if it is still to come, by the clock of another machine.
    pub(super) const fn ago(self, now: Self) -> Duration {
        Duration::from_millis(now.0.saturating_sub(self.0))
    }
}

impl From<Time> for SystemTime {
    fn from(time: Time) -> Self {
        UNIX_EPOCH + Duration::from_millis(time.0)
    }
}

/// How many bytes identify a session, or the handle of one.
const ID: usize = 16;

/// Identifies a session through all of its renewals. It isn't a secret: with it alone, nobody has a session.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(pub(super) [u8; ID]);

impl SessionId {
    /// A new id. `None` if the system's random source fails.
    pub(super) fn new() -> Option<Self> {
        let mut id = [0; ID];
        rand::fill(&mut id).ok()?;
        Some(Self(id))
    }
}

/// A handle of a login, which the cookie needn't hold itself.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(super) struct HandleDigest(pub(super) [u8; ID]);

impl HandleDigest {
    /// The digest of a handle. Equal handles of two authenticators are two handles.
    pub(super) fn of(authenticator: &str, handle: &Handle) -> Self {
        let size = u64::try_from(authenticator.len()).unwrap_or(u64::MAX).to_be_bytes();
        let parts = [
            b"portcullis handle".as_slice(),
            &size,
            authenticator.as_bytes(),
            handle.as_str().as_bytes(),
        ];
        let sum = digest::digest(&digest::SHA256, &parts.concat());
        Self(sum.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl FromStr for SessionId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        bytes(text).map(Self).ok_or(MalformedId)
    }
}

/// A text that isn't the id of a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{NO_ID}")]
#[non_exhaustive]
pub struct MalformedId;

const NO_ID: &str = "the id of a session has 22 characters of base64url";

fn bytes(text: &str) -> Option<[u8; ID]> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Both are written as base64url.
macro_rules! as_text {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                bytes(&text).map(Self).ok_or_else(|| D::Error::custom(NO_ID))
            }
        }
    };
}

as_text!(SessionId);
as_text!(HandleDigest);
