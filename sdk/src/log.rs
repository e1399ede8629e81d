//! Writes lines to the operator's log. The gateway adds the authenticator's name and limits the number and the size of
//! lines; never log a credential.

use crate::host;

/// The severity of a line, least severe first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Level {
    /// Single steps, for the author of the authenticator.
    Trace,
    /// Explanations of a decision.
    Debug,
    /// Normal events.
    Info,
    /// Problems that were handled.
    Warn,
    /// Problems that someone has to act on.
    Error,
}

/// Logs a single step.
pub fn trace(message: impl AsRef<str>) {
    host::log(Level::Trace, message.as_ref());
}

/// Logs an explanation of a decision.
pub fn debug(message: impl AsRef<str>) {
    host::log(Level::Debug, message.as_ref());
}

/// Logs a normal event.
pub fn info(message: impl AsRef<str>) {
    host::log(Level::Info, message.as_ref());
}

/// Logs a problem that was handled.
pub fn warn(message: impl AsRef<str>) {
    host::log(Level::Warn, message.as_ref());
}

/// Logs a problem that someone has to act on.
pub fn error(message: impl AsRef<str>) {
    host::log(Level::Error, message.as_ref());
}
