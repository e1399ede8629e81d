//! Tells when files or folders have changed and the change is complete, for programs that take up their configuration
//! while they run. Only states count, which are compared; events of the file system just say when to look.

mod events;
mod links;
mod places;
mod stamp;
mod writers;

pub use self::stamp::Stamp;
