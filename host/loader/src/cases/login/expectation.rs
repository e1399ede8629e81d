//! `expect` of a call of a login. What isn't named may be anything.

use std::time::Duration;

use portcullis::LoginError;

use crate::cases::expectation;
use crate::cases::expectation::Expectation;
use crate::cases::expectation::list;
use crate::cases::expectation::texts;
use crate::config::error::unknown;
use crate::config::reader::Item;
use crate::config::values;

/// The longest time after which a session may have to be renewed: as much as the contract can say.
const MAX_RENEW_AFTER: Duration = Duration::from_secs(u32::MAX as u64);

/// What is expected of a call. `None` stands for what may be anything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoginExpectation {
    /// [`OK`](Self::OK), or the word for why there is no answer.
    pub outcome: Option<&'static str>,
    /// A part of the reason that the plugin gives for a refusal.
    pub why: Option<String>,
    /// Where the browser goes, without the query. Empty if it goes nowhere.
    pub location: Option<String>,
    /// The values of these parameters of the place where the browser goes, in order. Others may have any.
    pub query: Vec<(String, Vec<String>)>,
    /// User, groups and attributes of somebody who has logged in, and what servers were asked.
    pub user: Expectation,
    /// After how long the session must be renewed.
    pub renew_after: Option<Duration>,
    /// What the session keeps. Empty if it keeps nothing.
    pub keep: Option<String>,
    /// The handles of the session, or those whose sessions are over, in order.
    pub handles: Option<Vec<String>>,
}

impl LoginExpectation {
    /// The outcome of a call that has an answer.
    pub const OK: &'static str = "ok";
}

/// Reads the table. Returns `None` if it has a mistake that hides what is meant.
pub(super) fn read(item: Item<'_>) -> Option<LoginExpectation> {
    let place = item.place.clone();
    let before = place.document().error_count();
    let mut table = item.table()?;
    let expectation = LoginExpectation {
        outcome: table.take("outcome").and_then(outcome),
        why: table.take("why").and_then(Item::text),
        location: table.take("location").and_then(Item::text),
        query: table
            .take("query")
            .and_then(Item::table)
            .map_or_else(Vec::new, |table| {
                let entries = table.into_entries();
                entries.filter_map(|(name, item)| Some((name, texts(item)?))).collect()
            }),
        user: expectation::of_user(&mut table),
        renew_after: table
            .take("renew_after")
            .and_then(|item| values::duration(item, Duration::from_secs(1)..=MAX_RENEW_AFTER)),
        keep: table.take("keep").and_then(Item::text),
        handles: table.take("handles").and_then(list),
    };
    table.finish();
    (place.document().error_count() == before).then_some(expectation)
}

fn outcome(item: Item<'_>) -> Option<&'static str> {
    let place = item.place.clone();
    let text = item.text()?;
    let all = || std::iter::once(LoginExpectation::OK).chain(LoginError::LABELS);
    let known = all().find(|label| *label == text);
    if known.is_none() {
        place.report(unknown("outcome", &text, all()));
    }
    known
}
