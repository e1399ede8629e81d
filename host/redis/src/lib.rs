//! Redis or Valkey as the store that several Portcullis gateways share: one server, those that a Sentinel names, or a cluster. The
//! client is `fred`, which connects anew by itself for as long as a [`RedisStore`] lives.

mod failure;
mod location;
mod store;

pub use location::Location;
pub use location::LocationError;
pub use store::Access;
pub use store::RedisStore;
pub use store::Secret;
