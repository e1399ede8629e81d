//! The access log on standard output, as the configuration of the moment wants it.

use std::io;

use crate::cli::log_lines::LogLines;
use crate::config::AccessLogFormat;
use crate::serve::access::AccessLog;
use crate::serve::access::CurrentAccessLog;

/// Makes access logs. All of them write to one queue of lines.
#[derive(Debug, Default)]
pub(super) struct AccessLogs {
    current: CurrentAccessLog,
    /// `None` until there is the first access log.
    lines: Option<LogLines>,
}

impl AccessLogs {
    /// The log that requests write to now.
    pub(super) fn current(&self) -> CurrentAccessLog {
        self.current.clone()
    }

    /// Makes a log in this form. `None` for none.
    pub(super) fn prepare(&mut self, format: Option<AccessLogFormat>) -> io::Result<Option<AccessLog>> {
        let Some(format) = format else { return Ok(None) };
        let lines = match &self.lines {
            Some(lines) => lines.clone(),
            None => self.lines.insert(LogLines::on_standard_output()?).clone(),
        };
        Ok(Some(AccessLog::new(format, move |line| lines.enqueue(line))))
    }

    /// Makes requests write to this log.
    pub(super) fn apply(&self, log: Option<AccessLog>) {
        self.current.replace(log);
    }
}
