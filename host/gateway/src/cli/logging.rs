//! Sets up logging to standard error, as text or as JSON. The level applies to the gateway; libraries log only warnings.

use std::error::Error;
use std::io;
use std::io::IsTerminal;
use std::str::FromStr;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::log_json::Json;
use super::log_lines::LogLines;
use super::log_output::Output;
use super::log_text::Fields;
use super::log_text::Timestamp;
use crate::audit_trail::CurrentTrail;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(super) enum Format {
    /// One JSON object per line
    Json,
    /// Human-readable text
    #[default]
    Text,
}

/// A log level or filter, in the syntax of `tracing`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Level(String);

impl Default for Level {
    fn default() -> Self {
        Self::of_gateway(LevelFilter::INFO)
    }
}

impl Level {
    /// Libraries log at most warnings, because their lower levels show raw bytes, which may contain credentials.
    fn of_gateway(level: LevelFilter) -> Self {
        Self(format!("{},portcullis={level}", level.min(LevelFilter::WARN)))
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if let Ok(level) = text.parse::<LevelFilter>() {
            return Ok(Self::of_gateway(level));
        }
        // A filter treats any word as a module name, so a misspelled level would turn off all logging.
        let is_level = |directive: &str| directive.contains('=') || directive.parse::<LevelFilter>().is_ok();
        if !text.split(',').all(is_level) {
            return Err(
                "expected off, error, warn, info, debug, trace, or a filter such as warn,portcullis=debug".to_owned(),
            );
        }
        text.parse::<Targets>().map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

/// Where lines go.
#[derive(Debug)]
pub(super) struct Logging {
    lines: LogLines,
    /// The audit trail, which a configuration may ask for.
    pub(super) audit: CurrentTrail,
}

impl Logging {
    /// Waits until all lines so far are written, or until a timeout if the reader is stuck.
    pub(super) fn flush(&self) {
        self.lines.flush();
    }
}

/// Starts logging. Must be called only once. The caller flushes what is returned before the process ends.
pub(super) fn start(level: &Level, format: Format) -> Result<Logging, Box<dyn Error>> {
    let filter: Targets = level.0.parse()?;
    let lines = LogLines::on_standard_error()?;
    let audit = CurrentTrail::default();
    let output = |written: Box<dyn Layer<Registry> + Send + Sync>| Output::new(written, filter, audit.clone());
    // tracing-subscriber would report a failed write to standard error, which panics if standard error is closed.
    let layer = tracing_subscriber::fmt::layer()
        .log_internal_errors(false)
        .with_writer(lines.clone());
    let output = match format {
        Format::Json => output(layer.event_format(Json).boxed()),
        Format::Text if io::stderr().is_terminal() => output(layer.with_ansi(true).boxed()),
        Format::Text => {
            let layer = layer.with_ansi(false).with_timer(Timestamp);
            output(layer.fmt_fields(Fields).boxed())
        }
    };
    tracing_subscriber::registry().with(output).try_init()?;
    Ok(Logging { lines, audit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_applies_to_the_gateway_and_a_filter_is_used_unchanged() {
        for (text, filter) in [
            ("info", "warn,portcullis=info"),
            ("TRACE", "warn,portcullis=trace"),
            ("error", "error,portcullis=error"),
            ("off", "off,portcullis=off"),
            ("info,portcullis::audit=off", "info,portcullis::audit=off"),
        ] {
            assert_eq!(text.parse(), Ok(Level(filter.to_owned())), "{text}");
        }
        assert_eq!("info".parse(), Ok(Level::default()));
        assert_eq!("".parse(), Ok(Level::default()));
        for text in ["inof", "inof,portcullis=debug", "portcullis=inof"] {
            assert!(text.parse::<Level>().is_err(), "{text}");
        }
    }
}
