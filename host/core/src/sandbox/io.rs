//! Wasmtime's `wasi:io`, except that every wait ends at the call's deadline. A call therefore ends by itself, and its
//! future never has to be dropped while the plugin runs.

use wasmtime::component::HasData;
use wasmtime::component::Linker;
use wasmtime::component::Resource;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p2::DynInputStream;
use wasmtime_wasi::p2::DynOutputStream;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::StreamError;
use wasmtime_wasi::p2::StreamResult;
use wasmtime_wasi::p2::bindings::io::error;
use wasmtime_wasi::p2::bindings::io::poll;
use wasmtime_wasi::p2::bindings::io::streams;

use super::HostState;
use super::clock::Clock;
use super::scheduler::ComputePermit;

pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    error::add_to_linker::<HostState, Table>(linker, |state| &mut state.table)?;
    poll::add_to_linker::<HostState, Waits>(linker, waiting)?;
    streams::add_to_linker::<HostState, Waits>(linker, waiting)
}

fn waiting(state: &mut HostState) -> Waiting<'_> {
    Waiting {
        table: &mut state.table,
        clock: state.clock,
        permit: &state.permit,
    }
}

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

struct Waits;

impl HasData for Waits {
    type Data<'a> = Waiting<'a>;
}

struct Waiting<'a> {
    table: &'a mut ResourceTable,
    clock: Clock,
    permit: &'a ComputePermit,
}

type Pollable = Resource<DynPollable>;
type Input = Resource<DynInputStream>;
type Output = Resource<DynOutputStream>;

impl poll::Host for Waiting<'_> {
    async fn poll(&mut self, pollables: Vec<Pollable>) -> wasmtime::Result<Vec<u32>> {
        self.clock
            .wait(self.permit, poll::Host::poll(self.table, pollables))
            .await?
    }
}

impl poll::HostPollable for Waiting<'_> {
    async fn block(&mut self, pollable: Pollable) -> wasmtime::Result<()> {
        self.clock
            .wait(self.permit, poll::HostPollable::block(self.table, pollable))
            .await?
    }

    async fn ready(&mut self, pollable: Pollable) -> wasmtime::Result<bool> {
        self.clock
            .wait(self.permit, poll::HostPollable::ready(self.table, pollable))
            .await?
    }

    fn drop(&mut self, pollable: Pollable) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}

impl streams::Host for Waiting<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        self.table.convert_stream_error(error)
    }
}

impl streams::HostInputStream for Waiting<'_> {
    async fn drop(&mut self, stream: Input) -> wasmtime::Result<()> {
        self.clock
            .wait(self.permit, streams::HostInputStream::drop(self.table, stream))
            .await?
    }

    fn read(&mut self, stream: Input, len: u64) -> StreamResult<Vec<u8>> {
        streams::HostInputStream::read(self.table, stream, len)
    }

    async fn blocking_read(&mut self, stream: Input, len: u64) -> StreamResult<Vec<u8>> {
        self.clock
            .wait(self.permit, self.table.blocking_read(stream, len))
            .await
            .map_err(StreamError::Trap)?
    }

    fn skip(&mut self, stream: Input, len: u64) -> StreamResult<u64> {
        streams::HostInputStream::skip(self.table, stream, len)
    }

    async fn blocking_skip(&mut self, stream: Input, len: u64) -> StreamResult<u64> {
        self.clock
            .wait(self.permit, self.table.blocking_skip(stream, len))
            .await
            .map_err(StreamError::Trap)?
    }

    fn subscribe(&mut self, stream: Input) -> wasmtime::Result<Pollable> {
        streams::HostInputStream::subscribe(self.table, stream)
    }
}

impl streams::HostOutputStream for Waiting<'_> {
    async fn drop(&mut self, stream: Output) -> wasmtime::Result<()> {
        self.clock
            .wait(self.permit, streams::HostOutputStream::drop(self.table, stream))
            .await?
    }

    fn check_write(&mut self, stream: Output) -> StreamResult<u64> {
        self.table.check_write(stream)
    }

    fn write(&mut self, stream: Output, bytes: Vec<u8>) -> StreamResult<()> {
        self.table.write(stream, bytes)
    }

    fn subscribe(&mut self, stream: Output) -> wasmtime::Result<Pollable> {
        streams::HostOutputStream::subscribe(self.table, stream)
    }

    async fn blocking_write_and_flush(&mut self, stream: Output, bytes: Vec<u8>) -> StreamResult<()> {
        self.clock
            .wait(self.permit, self.table.blocking_write_and_flush(stream, bytes))
            .await
            .map_err(StreamError::Trap)?
    }

    async fn blocking_write_zeroes_and_flush(&mut self, stream: Output, len: u64) -> StreamResult<()> {
        self.clock
            .wait(self.permit, self.table.blocking_write_zeroes_and_flush(stream, len))
            .await
            .map_err(StreamError::Trap)?
    }

    fn write_zeroes(&mut self, stream: Output, len: u64) -> StreamResult<()> {
        self.table.write_zeroes(stream, len)
    }

    fn flush(&mut self, stream: Output) -> StreamResult<()> {
        self.table.flush(stream)
    }

    async fn blocking_flush(&mut self, stream: Output) -> StreamResult<()> {
        self.clock
            .wait(self.permit, self.table.blocking_flush(stream))
            .await
            .map_err(StreamError::Trap)?
    }

    fn splice(&mut self, dest: Output, src: Input, len: u64) -> StreamResult<u64> {
        self.table.splice(dest, src, len)
    }

    async fn blocking_splice(&mut self, dest: Output, src: Input, len: u64) -> StreamResult<u64> {
        self.clock
            .wait(self.permit, self.table.blocking_splice(dest, src, len))
            .await
            .map_err(StreamError::Trap)?
    }
}
