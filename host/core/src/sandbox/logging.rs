//! The host functions of `wasi:logging`. The lines go to the operator's log, within the bounds of the call.

use super::HostState;
use crate::contract::wasi::logging::logging;

impl logging::Host for HostState {
    fn log(&mut self, level: logging::Level, context: String, message: String) -> wasmtime::Result<()> {
        self.log.write(level, &context, &message);
        Ok(())
    }
}
