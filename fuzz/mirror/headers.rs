//! Two of the gateway's rules for headers.

#[path = "../../host/gateway/src/serve/headers/forwarded.rs"]
pub(crate) mod forwarded;
#[path = "../../host/gateway/src/serve/headers/spelling.rs"]
mod spelling;

pub(crate) use self::spelling::fold;
use self::spelling::remove_where;
