//! `[assertion]`: what the assertions of all routes have in common. A route sends them if its `identity.assertion` is set.

use std::time::Duration;

use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Table;

/// The settings for assertions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AssertionConfig {
    /// Who says it: the claim `iss`.
    pub(crate) issuer: String,
    /// How long an assertion is valid.
    pub(crate) lifetime: Duration,
    /// How long a key signs.
    pub(crate) rotation: Duration,
}

impl Default for AssertionConfig {
    fn default() -> Self {
        Self {
            issuer: "portcullis".to_owned(),
            lifetime: Duration::from_secs(60),
            rotation: DAY,
        }
    }
}

impl AssertionConfig {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let default = Self::default();
        table.default("issuer", default.issuer.as_str());
        let issuer = table.take("issuer").and_then(name);
        let lifetime = table.duration("lifetime", default.lifetime, MIN_LIFETIME..=MAX_LIFETIME);
        let rotation = table.duration("rotation", default.rotation, MIN_ROTATION..=MAX_ROTATION);
        table.finish();
        Self {
            issuer: issuer.unwrap_or(default.issuer),
            lifetime,
            rotation,
        }
    }
}

/// Reads the name of an issuer or an audience, which verifiers compare byte by byte.
pub(super) fn name(item: Item<'_>) -> Option<String> {
    let parse = |text: &str| (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    item.parse(
        "a name or a URL of at most 256 ASCII characters without spaces",
        |text| parse(text).then(|| text.to_owned()),
    )
}

const MAX_NAME: usize = 256;
const DAY: Duration = Duration::from_secs(24 * 3600);
const MIN_LIFETIME: Duration = Duration::from_secs(5);
const MAX_LIFETIME: Duration = Duration::from_secs(3600);
/// Not shorter than the longest lifetime, so that verifiers know the key of every assertion that is valid.
const MIN_ROTATION: Duration = MAX_LIFETIME;
const MAX_ROTATION: Duration = Duration::from_secs(400 * 24 * 3600);
