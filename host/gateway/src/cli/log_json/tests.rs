//! The lines are those of the library.

use std::io::ErrorKind;

use tracing_subscriber::fmt::SubscriberBuilder;

use super::*;
use crate::testing::Log;

/// The lines of a subscriber, without their times.
fn lines<S: Subscriber + Send + Sync + 'static>(subscriber: impl FnOnce(SubscriberBuilder, Log) -> S) -> Vec<String> {
    let log = Log::default();
    tracing::subscriber::with_default(subscriber(tracing_subscriber::fmt(), log.clone()), || {
        let error = std::io::Error::new(ErrorKind::NotFound, "say \"hi\"");
        tracing::info!(
            target: "portcullis::audit",
            text = "\u{e9}\n\"\\\u{2028}",
            shown = %"a\tb",
            debug = ?Some("x"),
            number = 7_u64,
            below = -7_i64,
            part = 0.5,
            huge = u128::MAX,
            yes = true,
            absent = None::<&str>,
            error = &error as &(dyn std::error::Error + 'static),
            "a message with {}",
            "\"quotes\""
        );
        tracing::error!("another");
    });
    let text = log.text();
    let lines = text.lines().map(|line| line.split_once(',').unwrap().1.to_owned());
    lines.collect()
}

#[test]
fn lines_are_those_of_the_library() {
    let own = lines(|builder, log| builder.event_format(Json).with_writer(move || log.clone()).finish());
    let of_library = lines(|builder, log| {
        let builder = builder.json().flatten_event(true);
        builder.with_writer(move || log.clone()).finish()
    });
    assert_eq!(own.len(), 2);
    assert_eq!(own, of_library);
}
