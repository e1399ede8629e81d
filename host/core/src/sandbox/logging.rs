//! `wasi:logging` for a plugin: its lines go to the operator's log, within the bounds of its call.

use super::State;
use crate::contract::wasi::logging::logging;

impl logging::Host for State {
    fn log(&mut self, level: logging::Level, context: String, message: String) -> wasmtime::Result<()> {
        self.log.write(level, &context, &message);
        Ok(())
    }
}
