//! The host functions of `wasi:logging`. The lines go to the operator's log, within the bounds of the call.

use super::State;
use crate::contract::wasi::logging::logging;

impl logging::Host for State {
    fn log(&mut self, level: logging::Level, context: String, message: String) -> wasmtime::Result<()> {
        self.log.write(level, &context, &message);
        Ok(())
    }
}
