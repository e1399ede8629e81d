//! Inspects a file before it is compiled. Most files that are not plugins are recognised here, so that the error can
//! say what was found and what was expected.

use wasmparser::Encoding;
use wasmparser::Parser;
use wasmparser::Payload;
use wasmparser::Validator;
use wasmparser::WasmFeatures;

use crate::sandbox::is_absent;

/// The contract that plugins implement, with the version of this crate.
pub const CONTRACT: &str = "portcullis:auth@0.1.0";

const EXPORT: &str = "portcullis:auth/authenticator";

/// The interfaces that do something for a plugin. A plugin may import WASI's files and sockets as well, but is told that
/// there are none; arguments and environment of `wasi:cli` are empty.
const GIVEN: &[&str] = &[
    "portcullis:auth/cache",
    "portcullis:auth/crypto",
    "portcullis:auth/negotiate",
    "portcullis:auth/outbound",
    "portcullis:auth/types",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:logging/logging",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// Why a file can't be loaded as a plugin.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is a WebAssembly core module.
    #[error(
        "this is a WebAssembly core module, and a plugin is a component: build it for the target wasm32-wasip2, or wrap \
         it with `wasm-tools component new`"
    )]
    CoreModule,
    /// It uses a proposal of WebAssembly that is off, such as threads, 64-bit memories, garbage collection or WASI 0.3.
    #[error("the component uses a feature of WebAssembly that plugins don't have: {0}")]
    Feature(String),
    /// It is a damaged or truncated component.
    #[error("this is a component, but not a valid one (truncated or damaged?): {0}")]
    Invalid(String),
    /// Its exports have the right names but the wrong types.
    #[error("the component doesn't fit the contract {CONTRACT}: {0}")]
    Mismatch(String),
    /// It doesn't export an authenticator.
    #[error("the component is no authenticator: it exports {found}, and {EXPORT}@0.1.0 is expected")]
    NoAuthenticator {
        /// The names of its exports.
        found: String,
    },
    /// It is not WebAssembly.
    #[error("this is no WebAssembly: {0}")]
    NotWasm(&'static str),
    /// It implements another version of the contract.
    #[error("the component speaks portcullis:auth@{found}, and this is {CONTRACT}: get the plugin's build for it")]
    OtherVersion {
        /// The version that it implements.
        found: String,
    },
    /// It imports interfaces that plugins don't get.
    #[error(
        "the component imports {}, and no plugin is given {}",
        .0.join(", "),
        if .0.len() == 1 { "that" } else { "those" },
    )]
    UnknownImports(
        /// The imports, with their versions.
        Vec<String>,
    ),
}

impl LoadError {
    /// Why a component can't be compiled. One that is valid with every feature isn't damaged.
    pub(super) fn of_compilation(error: &wasmtime::Error, wasm: &[u8]) -> Self {
        let why = error.root_cause().to_string();
        match Validator::new_with_features(WasmFeatures::all()).validate_all(wasm) {
            Ok(_) => Self::Feature(why),
            Err(_) => Self::Invalid(format!("{error:#}")),
        }
    }
}

/// The contract and the imports that a component declares.
#[derive(Debug)]
pub(super) struct Inspection {
    pub(super) contract: String,
    pub(super) imports: Vec<String>,
}

impl Inspection {
    pub(super) fn of(wasm: &[u8]) -> Result<Self, LoadError> {
        let (imports, exports) = names(wasm)?;
        let Some(version) = exports
            .iter()
            .find_map(|name| name.strip_prefix(EXPORT)?.strip_prefix('@'))
        else {
            return Err(LoadError::NoAuthenticator {
                found: listed(&exports),
            });
        };
        // Before 1.0 a minor version may break, a patch may not (semver.org, item 4).
        if !version.starts_with("0.1.") {
            return Err(LoadError::OtherVersion {
                found: version.to_owned(),
            });
        }
        let unknown: Vec<_> = imports.iter().filter(|name| !given(name)).cloned().collect();
        if !unknown.is_empty() {
            return Err(LoadError::UnknownImports(unknown));
        }
        Ok(Self {
            contract: format!("portcullis:auth@{version}"),
            imports,
        })
    }
}

fn given(import: &str) -> bool {
    let name = import.split('@').next().unwrap_or(import);
    GIVEN.contains(&name) || is_absent(import)
}

fn names(wasm: &[u8]) -> Result<(Vec<String>, Vec<String>), LoadError> {
    if wasm.is_empty() {
        return Err(LoadError::NotWasm("the file is empty"));
    }
    if !wasm.starts_with(b"\0asm") {
        return Err(LoadError::NotWasm(
            "it doesn't start with the magic number of WebAssembly",
        ));
    }
    let invalid = |error: wasmparser::BinaryReaderError| LoadError::Invalid(error.to_string());
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_u32);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(invalid)? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => return Err(LoadError::CoreModule),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(invalid)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}
