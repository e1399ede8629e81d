//! The chain of the audit log: each line has a number and a hash, which covers the line before it too. A line that was changed,
//! removed or moved breaks the chain, and a signed checkpoint can't be made by somebody without the key.

mod hash;
mod key;
mod line;
mod seal;
mod verify;

pub(crate) use self::key::AuditKey;
pub(crate) use self::key::AuditPublicKey;
pub(crate) use self::line::Line;
pub(crate) use self::line::MAX_LINE;
pub(crate) use self::seal::ChainEnd;
pub(crate) use self::seal::CutOff;
pub(crate) use self::seal::checkpoint;
pub(crate) use self::seal::dropped;
pub(crate) use self::seal::opening;
pub(crate) use self::verify::Summary;
pub(crate) use self::verify::Verifier;
