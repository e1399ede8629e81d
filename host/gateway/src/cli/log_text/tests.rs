use std::io;

use super::*;
use crate::testing::Log;

fn log_everything() {
    let error = io::Error::other(io::Error::other("the \"source\""));
    tracing::info!("a message alone");
    tracing::info!(text = "plain", "a message");
    for text in ["", "a b", "a\"b", "a\\b", "a\nb\u{1b}", "é\u{7f}\u{200b}"] {
        tracing::warn!(text, other = %text, third = ?text, "{text}");
        tracing::warn!(message = text, none = None::<&str>, some = Some(text));
    }
    tracing::error!(error = &error as &dyn std::error::Error, why = %error, "failed");
    tracing::error!(yes = true, no = false, one = 1_u64, minus = -1_i64, float = 0.5, char = ?'x');
    tracing::debug!(target: "portcullis::other", list = ?["a", "b"]);
    tracing::debug!(first = 1, second = "2");
}

/// The lines without their times.
fn lines(log: &Log) -> Vec<String> {
    let cut = |line: &str| line.split_once("Z ").map_or(line, |(_, rest)| rest).to_owned();
    log.text().split('\n').map(cut).collect()
}

#[test]
fn lines_are_those_of_the_library() {
    let (own, expected) = (Log::default(), Log::default());
    let (to_own, to_expected) = (own.clone(), expected.clone());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false);
    let subscriber = subscriber.with_writer(move || to_own.clone());
    let subscriber = subscriber.with_timer(Timestamp).fmt_fields(Fields).finish();
    tracing::subscriber::with_default(subscriber, log_everything);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false);
    let subscriber = subscriber.with_writer(move || to_expected.clone()).finish();
    tracing::subscriber::with_default(subscriber, log_everything);
    assert_eq!(lines(&own), lines(&expected));
    assert!(lines(&own).len() > 15);
}

#[test]
fn a_time_has_microseconds() {
    let mut text = String::new();
    Timestamp.format_time(&mut Writer::new(&mut text)).unwrap();
    assert_eq!(text.len(), "2026-11-27T13:45:00.123456Z".len(), "{text}");
    assert!(humantime::parse_rfc3339(&text).is_ok(), "{text}");
}
