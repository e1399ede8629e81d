//! The files and sockets of WASI, none of which exist in a sandbox. Interpreters import these interfaces even if their
//! scripts use neither: they are told that there is no folder and that the network is denied.

use wasmtime::AsContextMut;
use wasmtime::StoreContextMut;
use wasmtime::bail;
use wasmtime::component::Component;
use wasmtime::component::InstancePre;
use wasmtime::component::Linker;
use wasmtime::component::LinkerInstance;
use wasmtime::component::Resource;
use wasmtime::component::ResourceType;
use wasmtime::component::Type;
use wasmtime::component::Val;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::types::ComponentItem;
use wasmtime_wasi::p2::IoError;

use super::HostState;

/// The interfaces, each with the resources that it defines.
const INTERFACES: &[(&str, &[&str])] = &[
    ("wasi:filesystem/preopens", &[]),
    ("wasi:filesystem/types", &["descriptor", "directory-entry-stream"]),
    ("wasi:sockets/instance-network", &[]),
    ("wasi:sockets/ip-name-lookup", &["resolve-address-stream"]),
    ("wasi:sockets/network", &["network"]),
    ("wasi:sockets/tcp", &["tcp-socket"]),
    ("wasi:sockets/tcp-create-socket", &[]),
    (
        "wasi:sockets/udp",
        &["udp-socket", "incoming-datagram-stream", "outgoing-datagram-stream"],
    ),
    ("wasi:sockets/udp-create-socket", &[]),
];

/// What `wasi:filesystem` and `wasi:sockets` call a denial.
const DENIALS: [&str; 2] = ["access", "access-denied"];

/// A resource of these interfaces. Only [`network`](https://github.com/WebAssembly/wasi-sockets) is ever handed out, and
/// nothing can be done with it.
struct Absent;

/// Whether an import is one of those interfaces, in a version of WASI 0.2.
pub(crate) fn is_absent(import: &str) -> bool {
    resources(import).is_some()
}

/// The resources that an interface defines. `None` if the import isn't one of those interfaces.
fn resources(import: &str) -> Option<&'static [&'static str]> {
    let (interface, version) = import.split_once('@')?;
    let (_, resources) = INTERFACES.iter().find(|(name, _)| *name == interface)?;
    version.starts_with("0.2.").then_some(*resources)
}

/// Links a component with the host functions, and with what it imports of these interfaces. No function of them reaches the
/// system.
pub(crate) fn link(linker: &Linker<HostState>, component: &Component) -> wasmtime::Result<InstancePre<HostState>> {
    let engine = linker.engine().clone();
    let mut linker = linker.clone();
    for (import, item) in component.component_type().imports(&engine) {
        let Some(resources) = resources(import) else {
            continue;
        };
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        let mut linker = linker.instance(import)?;
        for (name, item) in instance.exports(&engine) {
            match item.ty {
                ComponentItem::Resource(_) if resources.contains(&name) => {
                    linker.resource(name, ResourceType::host::<Absent>(), |_, _| Ok(()))?;
                }
                ComponentItem::ComponentFunc(function) => define(&mut linker, import, name, &function)?,
                _ => {}
            }
        }
    }
    linker.instantiate_pre(component)
}

fn define(
    linker: &mut LinkerInstance<'_, HostState>,
    interface: &str,
    name: &str,
    function: &ComponentFunc,
) -> wasmtime::Result<()> {
    let answer = Answer::of(function);
    let called = format!("{interface}.{name}");
    linker.func_new(name, move |mut store, _, arguments, results| {
        for argument in arguments {
            release(argument, &mut store)?;
        }
        let Some(result) = results.first_mut() else {
            bail!("it called {called}, and a sandbox has no files or sockets");
        };
        *result = answer.value(store, &called)?;
        Ok(())
    })
}

/// Gives back a borrowed handle. A call that keeps one can't return.
fn release(argument: &Val, mut store: impl AsContextMut) -> wasmtime::Result<()> {
    let Val::Resource(handle) = argument else { return Ok(()) };
    if handle.ty() == ResourceType::host::<IoError>() {
        Resource::<IoError>::try_from_resource_any(*handle, &mut store)?;
    } else {
        Resource::<Absent>::try_from_resource_any(*handle, &mut store)?;
    }
    Ok(())
}

/// What a function answers.
#[derive(Clone, Copy)]
enum Answer {
    /// This error.
    Denied(&'static str),
    /// An empty list.
    Nothing,
    /// `none`.
    None,
    /// A handle of a resource that can't be used.
    Handle,
    /// The call ends with an error.
    Trap,
}

impl Answer {
    fn of(function: &ComponentFunc) -> Self {
        match function.results().next() {
            Some(Type::Result(result)) => match result.err() {
                Some(Type::Enum(error)) => {
                    let denial = error
                        .names()
                        .find_map(|name| DENIALS.iter().find(|denial| **denial == name));
                    denial.map_or(Self::Trap, |denial| Self::Denied(denial))
                }
                _ => Self::Trap,
            },
            Some(Type::List(_)) => Self::Nothing,
            Some(Type::Option(_)) => Self::None,
            Some(Type::Own(_)) => Self::Handle,
            _ => Self::Trap,
        }
    }

    fn value(self, mut store: StoreContextMut<'_, HostState>, called: &str) -> wasmtime::Result<Val> {
        Ok(match self {
            Self::Denied(denial) => Val::Result(Err(Some(Box::new(Val::Enum(denial.to_owned()))))),
            Self::Nothing => Val::List(Vec::new()),
            Self::None => Val::Option(None),
            // A handle that isn't in the table of the host, which is how others are found.
            Self::Handle => {
                store.data_mut().used("the network");
                Val::Resource(Resource::<Absent>::new_own(0).try_into_resource_any(store)?)
            }
            Self::Trap => bail!("it called {called}, and a sandbox has no files or sockets"),
        })
    }
}
