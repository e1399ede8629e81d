//! Inspects a file before it is compiled. Most files that are not plugins are recognised here, so that the error can
//! say what was found and what was expected.

use wasmparser::Encoding;
use wasmparser::Parser;
use wasmparser::Payload;
use wasmparser::Validator;
use wasmparser::WasmFeatures;

use super::manifest::Found;
use super::manifest::Manifest;
use super::manifest::ManifestError;
use crate::role::Role;
use crate::sandbox::is_absent;

/// The contract that plugins implement, with the version of this crate.
pub const CONTRACT: &str = "portcullis:auth@0.2.0";

/// The package of the contract.
const PACKAGE: &str = "portcullis:auth/";

/// The versions that this program speaks, by the beginning of an interface's name: as they are displayed, and how a version
/// that fits begins. Before 1.0 a minor version may break, a patch may not (semver.org, item 4).
const VERSIONS: [(&str, &str, &str); 3] = [
    (PACKAGE, "0.2.0", "0.2."),
    ("wasi:logging/", "0.1.0-draft", "0.1.0-draft"),
    ("wasi:", "0.2", "0.2."),
];

/// The interfaces that do something for a plugin. A plugin may import WASI's files and sockets as well, but is told that
/// there are none; arguments and environment of `wasi:cli` are empty.
const GIVEN: &[&str] = &[
    "portcullis:auth/cache",
    "portcullis:auth/crypto",
    "portcullis:auth/negotiate",
    "portcullis:auth/outbound",
    "portcullis:auth/signing",
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
    /// It says something of itself that can't be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It exports nothing of the contract.
    #[error(
        "the component is no plugin: it exports {found}, and portcullis:auth/authenticator@0.2.0 or \
         portcullis:auth/authorizer@0.2.0 is expected"
    )]
    NoPlugin {
        /// The names of its exports.
        found: String,
    },
    /// It is not WebAssembly.
    #[error("this is no WebAssembly: {0}")]
    NotWasm(&'static str),
    /// It needs another version of the contract, or of WASI.
    #[error("the component asks for {found}, and this program speaks {spoken}: get the plugin's build for it")]
    OtherVersion {
        /// The package or interface with the version that it asks for.
        found: String,
        /// The version that this program has.
        spoken: String,
    },
    /// It is an authenticator and an authorizer.
    #[error(
        "the component is an authenticator and an authorizer, and a plugin is one of them: build a component for each, so that \
         each has grants and settings of its own"
    )]
    TwoRoles,
    /// It implements a part of the contract that this program doesn't use.
    #[error(
        "the component has the role {found}, and this program, which speaks {CONTRACT}, has a place for \
         authenticators and authorizers only"
    )]
    UnknownRole {
        /// The role with the version of the contract.
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

/// What a component declares.
#[derive(Debug)]
pub(super) struct Inspection {
    pub(super) contract: String,
    pub(super) roles: Vec<Role>,
    pub(super) exports: Vec<String>,
    pub(super) imports: Vec<String>,
    pub(super) manifest: Option<Manifest>,
}

impl Inspection {
    pub(super) fn of(wasm: &[u8]) -> Result<Self, LoadError> {
        let Declared {
            imports,
            exports,
            manifest,
        } = Declared::by(wasm)?;
        let (roles, version) = roles(&exports)?;
        if let Some(error) = imports.iter().find_map(|import| other_version(import)) {
            return Err(error);
        }
        let unknown: Vec<_> = imports.iter().filter(|name| !given(name)).cloned().collect();
        if !unknown.is_empty() {
            return Err(LoadError::UnknownImports(unknown));
        }
        Ok(Self {
            contract: format!("portcullis:auth@{version}"),
            roles,
            exports,
            imports,
            manifest: manifest.parse()?,
        })
    }
}

/// The roles of a component, and the version of the contract that it implements.
fn roles(exports: &[String]) -> Result<(Vec<Role>, &str), LoadError> {
    // Pairs of an interface of the contract and its version.
    let interfaces = exports
        .iter()
        .filter_map(|name| name.strip_prefix(PACKAGE)?.split_once('@'));
    let interfaces = Vec::from_iter(interfaces);
    let version = |role: Role| {
        interfaces
            .iter()
            .find(|(name, _)| *name == role.label())
            .map(|(_, version)| *version)
    };
    let Some(found) = MAIN.into_iter().find_map(version) else {
        let is_known = |name: &str| name == PLUGIN || Role::ALL.iter().any(|role| role.label() == name);
        return Err(match interfaces.iter().find(|(name, _)| !is_known(name)) {
            Some((name, version)) => LoadError::UnknownRole {
                found: format!("{name} of portcullis:auth@{version}"),
            },
            None => LoadError::NoPlugin { found: listed(exports) },
        });
    };
    if let Some(error) = exports.iter().find_map(|export| other_version(export)) {
        return Err(error);
    }
    let roles = Vec::from_iter(Role::ALL.into_iter().filter(|role| version(*role).is_some()));
    if MAIN.iter().all(|role| roles.contains(role)) {
        return Err(LoadError::TwoRoles);
    }
    if roles.contains(&Role::Login) && !roles.contains(&Role::Authenticator) {
        return Err(LoadError::NoPlugin { found: listed(exports) });
    }
    Ok((roles, found))
}

/// The roles in which plugins are asked about requests. A component has one of them.
const MAIN: [Role; 2] = [Role::Authenticator, Role::Authorizer];

/// The interface that plugins of all roles export.
const PLUGIN: &str = "plugin";

/// The error about an interface in a version that doesn't fit this program's. `None` if it fits, or if the program has no
/// version of it.
fn other_version(interface: &str) -> Option<LoadError> {
    let (name, version) = interface.split_once('@')?;
    let (prefix, spoken, fits) = VERSIONS.into_iter().find(|(prefix, ..)| name.starts_with(prefix))?;
    let is_known = prefix == PACKAGE || GIVEN.contains(&name);
    let package = if prefix == PACKAGE { "portcullis:auth" } else { name };
    (is_known && !version.starts_with(fits)).then(|| LoadError::OtherVersion {
        found: format!("{package}@{version}"),
        spoken: format!("{package}@{spoken}"),
    })
}

fn given(import: &str) -> bool {
    let name = import.split('@').next().unwrap_or(import);
    GIVEN.contains(&name) || is_absent(import)
}

/// The names and sections of a component.
struct Declared<'w> {
    imports: Vec<String>,
    exports: Vec<String>,
    manifest: Found<'w>,
}

impl<'w> Declared<'w> {
    fn by(wasm: &'w [u8]) -> Result<Self, LoadError> {
        if wasm.is_empty() {
            return Err(LoadError::NotWasm("the file is empty"));
        }
        if !wasm.starts_with(b"\0asm") {
            return Err(LoadError::NotWasm(
                "it doesn't start with the magic number of WebAssembly",
            ));
        }
        let invalid = |error: wasmparser::BinaryReaderError| LoadError::Invalid(error.to_string());
        let (mut imports, mut exports, mut manifest) = (Vec::new(), Vec::new(), Found::default());
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(invalid)?;
            manifest.note(&payload, depth);
            match payload {
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
        Ok(Self {
            imports,
            exports,
            manifest,
        })
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}
