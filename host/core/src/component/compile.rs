//! From WebAssembly to machine code, compiled or taken from the cache. This is the one place that maps machine code
//! which was not compiled in this very call, and so the one place with an unsafe block.

#![allow(unsafe_code, reason = "machine code from the cache is mapped here")]

use wasmtime::component::Component;

use super::digest::Digest;
use crate::engine::Shared;

/// Compiles a component, or takes its machine code from the cache.
pub(super) fn compile(engine: &Shared, digest: &Digest, wasm: &[u8]) -> wasmtime::Result<Component> {
    let Some(cache) = &engine.cache else {
        return Component::from_binary(&engine.runtime.wasmtime, wasm);
    };
    if let Some(component) = cache
        .find(digest.as_bytes(), &engine.runtime.wasmtime)
        .and_then(|code| map(&engine.runtime.wasmtime, &code))
    {
        tracing::debug!(%digest, "component taken from the cache");
        return Ok(component);
    }
    let component = Component::from_binary(&engine.runtime.wasmtime, wasm)?;
    if let Err(error) = component
        .serialize()
        .and_then(|code| Ok(cache.store(digest.as_bytes(), &engine.runtime.wasmtime, &code)?))
    {
        tracing::warn!(%digest, %error, "the compiled component isn't cached: the next start compiles it again");
    }
    Ok(component)
}

fn map(engine: &wasmtime::Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: `deserialize` runs what it is given. The bytes come from a folder that only this user can write to, their
    // digest says that the entry is whole, and its name that an engine with the same version, target and settings made
    // it from the same WebAssembly. Wasmtime checks version and settings once more.
    unsafe { Component::deserialize(engine, code) }.ok()
}
