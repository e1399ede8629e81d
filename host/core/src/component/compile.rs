//! Compiles WebAssembly to machine code, or loads the code from the cache. Loading code from a file is unsafe; no other
//! module of the crate has an unsafe block.

#![allow(unsafe_code, reason = "compiled code is loaded from a file")]

use wasmtime::component::Component;

use super::bytes::ComponentBytes;
use crate::engine::Code;
use crate::engine::Inner;
use crate::engine::path_of_code as path;

/// Compiles a component, or loads its machine code from the cache.
pub(super) fn compile(engine: &Inner, bytes: &ComponentBytes) -> wasmtime::Result<Component> {
    let (digest, wasm) = (bytes.digest(), bytes.as_ref());
    let Some(cache) = &engine.cache else {
        return Component::from_binary(&engine.runtime.wasmtime, wasm);
    };
    if let Some(component) = cache
        .find(digest.as_bytes(), &engine.runtime.wasmtime)
        .and_then(|code| load(&engine.runtime.wasmtime, &code))
    {
        tracing::debug!(%digest, "compiled component loaded from the cache");
        return Ok(component);
    }
    let component = Component::from_binary(&engine.runtime.wasmtime, wasm)?;
    if let Err(error) = component
        .serialize()
        .and_then(|code| Ok(cache.store(digest.as_bytes(), &engine.runtime.wasmtime, &code)?))
    {
        tracing::warn!(%digest, %error, "the compiled component can't be cached, so the next start compiles it again");
    }
    Ok(component)
}

fn load(engine: &wasmtime::Engine, code: &Code) -> Option<Component> {
    // SAFETY: `deserialize` trusts its input to be code that Wasmtime compiled. The bytes come from a directory that
    // only this user or root can write to; their checksum says that the entry is complete, and its name that an
    // engine with the same version, target and settings compiled it from the same component. Wasmtime checks version
    // and settings again. A file that is mapped is a copy in memory, which is sealed against changes.
    let loaded = unsafe {
        match code {
            Code::File(copy) => Component::deserialize_file(engine, path(copy)),
            Code::Bytes(code) => Component::deserialize(engine, code),
        }
    };
    loaded.ok()
}
