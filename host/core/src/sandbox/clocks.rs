//! The wall clock of plugins. Wasmtime has the same, but as a part of all of WASI, which most calls need nothing else of.

use std::time::Duration;
use std::time::SystemTime;

use wasmtime::component::HasData;
use wasmtime::component::Linker;
use wasmtime_wasi::p2::bindings::clocks::wall_clock;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

use super::HostState;

pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wall_clock::add_to_linker::<HostState, WallClock>(linker, |_| WallClock)
}

/// The clock of the system.
struct WallClock;

impl HasData for WallClock {
    type Data<'a> = Self;
}

impl wall_clock::Host for WallClock {
    fn now(&mut self) -> wasmtime::Result<Datetime> {
        Ok(datetime(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?))
    }

    fn resolution(&mut self) -> wasmtime::Result<Datetime> {
        Ok(datetime(Duration::from_nanos(1)))
    }
}

fn datetime(since_epoch: Duration) -> Datetime {
    Datetime {
        seconds: since_epoch.as_secs(),
        nanoseconds: since_epoch.subsec_nanos(),
    }
}
