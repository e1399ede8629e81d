//! `groups` and `groups_filter` of `[routes.identity]`: which of a user's groups an upstream gets.

use http::HeaderName;
use portcullis_loader::config::reader::Item;
use portcullis_loader::config::reader::Kind;
use portcullis_loader::config::reader::Table;
use portcullis_loader::config::values;

use crate::config::identity::header;

/// Which of a user's groups the upstream gets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SentGroups {
    /// All of them.
    All,
    /// Those that match one of these.
    Matching(Vec<GroupPattern>),
    /// None of them.
    None,
}

/// A name of a group, or its beginning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum GroupPattern {
    /// This name.
    Exact(String),
    /// Every name that begins so.
    Prefix(String),
}

impl SentGroups {
    /// Whether a group is sent.
    pub(crate) fn include(&self, group: &str) -> bool {
        match self {
            Self::All => true,
            Self::Matching(patterns) => patterns.iter().any(|pattern| match pattern {
                GroupPattern::Exact(name) => name == group,
                GroupPattern::Prefix(prefix) => group.starts_with(prefix),
            }),
            Self::None => false,
        }
    }
}

impl GroupPattern {
    /// Reads `staff` or `dask-*`.
    fn parse(text: &str) -> Option<Self> {
        let (bare, is_prefix) = match text.strip_suffix('*') {
            Some(bare) => (bare, true),
            None => (text, false),
        };
        let of = if is_prefix { Self::Prefix } else { Self::Exact };
        (!bare.is_empty() && !bare.contains('*')).then(|| of(bare.to_owned()))
    }
}

/// Reads the header for the groups, which may be `false`, and which groups it carries.
pub(super) fn groups(table: &mut Table<'_>) -> (Option<HeaderName>, SentGroups) {
    let filter = table.take("groups_filter");
    let filter_place = filter.as_ref().map(|item| item.place.clone());
    let expected = "the name of a group, or its beginning and an asterisk, such as \"dask-*\"";
    let patterns = values::each(filter, |item| item.parse(expected, GroupPattern::parse));
    let none = |item: Item<'_>| {
        let place = item.place.clone();
        if item.boolean() == Some(true) {
            place.report("expected the name of a header, or false");
        } else if let Some(place) = &filter_place {
            place.report("it contradicts groups = false: no groups are sent");
        }
        None
    };
    let item = table.take("groups");
    let item = item.map(|item| item.either(Kind::Boolean, none, |item| Some(header(item))));
    let name = match item {
        Some(None) => return (None, SentGroups::None),
        Some(Some(name)) => name,
        None => None,
    };
    let sent = match filter_place {
        None => SentGroups::All,
        Some(place) => {
            if patterns.is_empty() {
                place.report("the list is empty; to send no groups, set groups = false".to_owned());
            }
            SentGroups::Matching(patterns)
        }
    };
    (name, sent)
}
