//! Lines for the operator's log. The gateway adds the authenticator's name and bounds their number and size; never write
//! a credential.

use crate::host;

/// How much a line matters, least first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Level {
    /// Every step; for the author.
    Trace,
    /// What explains a decision.
    Debug,
    /// What happened.
    Info,
    /// Something is wrong and was coped with.
    Warn,
    /// Something is wrong and somebody has to act.
    Error,
}

/// Writes a line that traces steps.
pub fn trace(message: impl AsRef<str>) {
    host::log(Level::Trace, message.as_ref());
}

/// Writes a line that explains a decision.
pub fn debug(message: impl AsRef<str>) {
    host::log(Level::Debug, message.as_ref());
}

/// Writes a line that says what happened.
pub fn info(message: impl AsRef<str>) {
    host::log(Level::Info, message.as_ref());
}

/// Writes a line about something wrong that was coped with.
pub fn warn(message: impl AsRef<str>) {
    host::log(Level::Warn, message.as_ref());
}

/// Writes a line about something that somebody has to act on.
pub fn error(message: impl AsRef<str>) {
    host::log(Level::Error, message.as_ref());
}
