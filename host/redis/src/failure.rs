//! Sorts the errors of the client by what they mean to the caller: the server is lost, or it refuses the command.

use fred::error::Error;
use fred::error::ErrorKind;
use portcullis::shared::StoreError;

/// The error in words. The client's own texts have no secrets: they quote the server, or name what failed.
pub(crate) fn words(error: &Error) -> String {
    match error.details() {
        "" => error.kind().to_str().to_lowercase(),
        details => details.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect(),
    }
}

/// The longest text that is taken from a server, in characters.
const MAX_WORDS: usize = 200;

pub(crate) fn failure(error: Error) -> StoreError {
    let words = words(&error);
    // The server's own words begin with a code: it is full, it can't write to its disk, or its ACL forbids a command.
    const REFUSALS: [&str; 4] = ["OOM", "MISCONF", "NOPERM", "NOREPLICAS"];
    let refuses = REFUSALS.iter().any(|code| error.details().starts_with(code));
    match error.kind() {
        _ if refuses => StoreError::Refused(words),
        ErrorKind::InvalidArgument | ErrorKind::InvalidCommand | ErrorKind::Parse => StoreError::Refused(words),
        _ => StoreError::Lost(words),
    }
}
