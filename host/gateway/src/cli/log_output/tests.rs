//! What the filter lets pass.

use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::testing::Log;

#[test]
fn the_filter_decides_about_the_log() {
    for (filter, expected) in [
        ("info", &["decision", "other"][..]),
        ("off,portcullis::audit=info", &["decision"]),
        ("info,portcullis::audit=off", &["other"]),
        ("off", &[]),
    ] {
        let log = Log::default();
        let written = log.clone();
        let lines = tracing_subscriber::fmt::layer().event_format(log_json::Json);
        let lines = lines.with_writer(move || written.clone());
        let output = Output::new(lines, filter.parse().unwrap(), CurrentTrail::default());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(output), || {
            tracing::info!(target: "portcullis::audit", "decision");
            tracing::info!("other");
        });
        let found = Vec::from_iter(
            ["decision", "other"]
                .into_iter()
                .filter(|text| !log.lines(text).is_empty()),
        );
        assert_eq!(found, expected, "{filter}");
    }
}
