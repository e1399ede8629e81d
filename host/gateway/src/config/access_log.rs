//! `[access_log]`: one line for each request on standard output, after the request has ended.

use portcullis_loader::config::reader::Table;

/// The form of an access log's lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum AccessLogFormat {
    /// The Combined Log Format of Apache and nginx.
    Combined,
    /// One JSON object per line.
    #[default]
    Json,
}

impl AccessLogFormat {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let format = table.word(
            "format",
            Self::default(),
            &[("json", Self::Json), ("combined", Self::Combined)],
        );
        table.finish();
        format
    }
}
