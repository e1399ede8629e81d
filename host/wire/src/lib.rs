//! What the gateway and its plugins read from and write to connections. Nothing here needs a server or a WebAssembly
//! engine, so that every reader of outside bytes can be tested and fuzzed by itself.

mod tolerant_writes;

pub use self::tolerant_writes::TolerantWrites;
