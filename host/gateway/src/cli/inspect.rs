//! `portcullis plugin inspect`, `list` and `compile`: describe and prepare components. A component is
//! compiled, or loaded from the same cache that `serve` uses, and asked for the schema of its settings. It gets no
//! grants.

use std::error::Error;
use std::fs;
use std::fs::Permissions;
use std::io;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Args;
use portcullis::Component;
use portcullis::Engine;
use portcullis_registry::MAX_COMPONENT;

use crate::cli::ConfigFile;
use crate::cli::engine;
use crate::cli::starter;
use crate::config::PluginSource;
use crate::config::trusted_key_file;
use crate::files::read_bytes;
use crate::signature;
use crate::signature::MAX_SIGNATURE;
use crate::signature::Signature;
use crate::signature::TrustedKey;
use crate::signature::TrustedKeys;

/// Arguments of `plugin inspect`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The component file, or the name of a built-in plugin
    #[arg(value_name = "FILE.wasm|NAME")]
    file: PathBuf,
    /// How much memory the component may use, as limits.memory says for an authenticator
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    memory: ByteSize,
    /// The key that must have signed the component: a public key of minisign, or file:PATH. Can be repeated
    #[arg(long, value_name = "KEY", value_parser = trusted_key)]
    trust: Vec<TrustedKey>,
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) async fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let (component, signature) = load(arguments)?;
    writeln!(output, "contract  {}", component.contract())?;
    writeln!(output, "sha256    {}", component.digest())?;
    writeln!(output, "size      {} bytes", component.size())?;
    writeln!(output, "signature {signature}")?;
    let memory = usize::try_from(arguments.memory.as_u64()).unwrap_or(usize::MAX);
    let schema = component.settings_schema(memory).await;
    let schema = schema.and_then(|schema| portcullis::check_settings_schema(&schema).map(|()| schema));
    let schema = schema.map_err(|error| format!("{}: {error}", arguments.file.display()))?;
    let can = starter::meanings(component.imports());
    write_lines(output, "can", can.into_iter())?;
    let starter = starter::configuration(&arguments.file, &schema, component.imports());
    write_lines(output, "to start", starter.lines())?;
    match component.imports() {
        [] => writeln!(output, "imports   nothing")?,
        imports => write_lines(output, "imports", imports.iter().map(String::as_str))?,
    }
    writeln!(output, "settings  {schema:#}")?;
    Ok(())
}

/// Writes lines with a label before the first.
fn write_lines<'l>(output: &mut impl Write, label: &str, lines: impl Iterator<Item = &'l str>) -> io::Result<()> {
    for (index, line) in lines.enumerate() {
        writeln!(output, "{:10}{line}", if index == 0 { label } else { "" })?;
    }
    Ok(())
}

/// Arguments of `plugin compile`.
#[derive(Args, Debug)]
pub(super) struct CompileArguments {
    /// The folder for compiled plugins: plugins.cache_directory of the gateway that will use them
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Component files, or names of built-in plugins. Default: the built-in plugins
    #[arg(value_name = "FILE.wasm|NAME")]
    plugins: Vec<PathBuf>,
}

/// Compiles plugins into a folder, for an image whose gateway starts without compiling.
pub(super) fn compile(arguments: &CompileArguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().cache_directory(&arguments.folder).build()?;
    let built_in = portcullis_plugins::ALL.iter().map(|(name, _)| PathBuf::from(name));
    let plugins = match arguments.plugins.as_slice() {
        [] => built_in.collect(),
        listed => listed.to_vec(),
    };
    for plugin in plugins {
        let component = component(&engine, &plugin)?;
        writeln!(output, "{} {}", component.digest(), plugin.display())?;
    }
    readable(&arguments.folder)
}

/// Lets every user read a folder and its files: an image is often built by root, and its gateway is another user.
fn readable(folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    for entry in folder.read_dir()? {
        let entry = entry?;
        // The store of components from registries may be below.
        if entry.file_type()?.is_file() {
            fs::set_permissions(entry.path(), Permissions::from_mode(0o644))?;
        }
    }
    Ok(())
}

/// Arguments of `plugin list`.
#[derive(Args, Debug)]
pub(super) struct ListArguments {
    #[command(flatten)]
    config: ConfigFile,
}

/// Lists the built-in plugins, and what the configuration makes of plugins.
pub(super) fn list(arguments: &ListArguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    for (name, _) in portcullis_plugins::ALL {
        writeln!(output, "{name:20}built in")?;
    }
    let draft = arguments.config.read();
    for authenticator in &draft.config.authenticators {
        let name = &authenticator.name;
        let plugin = match &authenticator.plugin {
            PluginSource::BuiltIn(plugin) => format!("the built-in {plugin}"),
            plugin => plugin.to_string(),
        };
        writeln!(output, "{name:20}authenticator, by {plugin}")?;
    }
    for error in &draft.errors {
        writeln!(output, "{:20}{error}", "(not usable)")?;
    }
    Ok(())
}

/// Loads the component, and says what its signature is. Nothing is compiled before the signature was verified.
fn load(arguments: &Arguments) -> Result<(Component, String), Box<dyn Error>> {
    // Only the cache directory is used, so other mistakes in the configuration are ignored.
    let engine = engine::engine(&arguments.config.read().config.plugins)?;
    let wasm = read(&arguments.file)?;
    let signature = signature(arguments, &wasm)?;
    Ok((compiled(&engine, &arguments.file, &wasm)?, signature))
}

/// What `plugin inspect` says about the signature.
///
/// # Errors
///
/// If `--trust` is given, the signature must be of these bytes and by such a key.
fn signature(arguments: &Arguments, wasm: &[u8]) -> Result<String, String> {
    let path = signature::beside(&arguments.file);
    let read = read_bytes(&path, MAX_SIGNATURE).and_then(|bytes| Signature::parse(&bytes));
    let error = |why: String| format!("{} {why}", path.display());
    if arguments.trust.is_empty() {
        return Ok(match read {
            Ok(signature) => format!("by {}, not verified: --trust KEY does", signature.signer()),
            Err(_) if !path.exists() => "none".to_owned(),
            Err(why) => error(why),
        });
    }
    let keys = arguments.trust.iter().cloned().collect::<TrustedKeys>();
    let signature = read.map_err(error)?;
    keys.verify(wasm, &signature).map_err(error)?;
    Ok(format!("by {}, verified", signature.signer()))
}

/// Reads a key of the command line.
fn trusted_key(text: &str) -> Result<TrustedKey, String> {
    match text.strip_prefix("file:") {
        Some(path) => trusted_key_file(Path::new(path)),
        None => TrustedKey::parse(text),
    }
}

/// Loads a component file, or a built-in plugin by its name.
pub(super) fn component(engine: &Engine, plugin: &Path) -> Result<Component, String> {
    compiled(engine, plugin, &read(plugin)?)
}

/// Reads a component file, or takes a built-in plugin by its name.
fn read(plugin: &Path) -> Result<Vec<u8>, String> {
    match plugin.to_str().and_then(portcullis_plugins::find) {
        Some(wasm) => Ok(wasm.to_owned()),
        None => read_bytes(plugin, MAX_COMPONENT).map_err(|error| format!("{}: {error}{BUILT_IN}", plugin.display())),
    }
}

fn compiled(engine: &Engine, plugin: &Path, wasm: &[u8]) -> Result<Component, String> {
    Component::new(engine, wasm).map_err(|error| format!("{}: {error}", plugin.display()))
}

const BUILT_IN: &str = "; `portcullis plugin list` names the built-in plugins";
