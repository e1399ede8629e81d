//! The services of the listeners: requests of clients, questions of fronts, and redirects to https. All listeners stop
//! together; a reload changes them one by one.

pub(crate) mod access;
mod kind;
mod listeners;
mod public;
mod redirect;
#[cfg(test)]
mod tests;

use crate::transport::connection::fault;
use crate::transport::handshake;

pub(crate) use self::kind::ListenerKind;
pub(crate) use self::listeners::Listeners;

/// Describes the metrics of the listeners.
pub(crate) fn describe() {
    fault::describe();
    handshake::describe();
    access::describe();
}
