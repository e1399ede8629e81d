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
use portcullis::Manifest;
use portcullis::Plugin;
use portcullis_loader::cases;
use portcullis_loader::files::read_bytes;
use portcullis_loader::signature;
use portcullis_loader::signature::MAX_SIGNATURE;
use portcullis_loader::signature::Signature;
use portcullis_loader::signature::Signer;
use portcullis_loader::signature::TrustedKey;
use portcullis_loader::signature::TrustedKeys;
use portcullis_registry::Digest;
use portcullis_registry::MAX_COMPONENT;

use crate::cli::ConfigFile;
use crate::cli::engine;
use crate::cli::remote;
use crate::cli::starter;
use crate::config::ConfigErrors;
use crate::config::Draft;
use crate::config::PluginConfig;
use crate::config::PluginSource;
use crate::config::plugin_argument;
use crate::config::trusted_key_file;
use crate::config::unknown;
use crate::generation::build_alone;

/// Arguments of `plugin inspect`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The component file, the name of a built-in plugin, or a reference such as oci://registry.example/team/badge:1.0
    #[arg(value_name = "FILE.wasm|NAME|REFERENCE", required_unless_present = "authenticator")]
    file: Option<PathBuf>,
    /// Describe the plugin of this authenticator of the configuration, and what of that which it asks for is granted
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    authenticator: Option<String>,
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
    let mut draft = arguments.config.read();
    let configured = match &arguments.authenticator {
        Some(name) => Some(authenticator(&mut draft, name)?),
        None => None,
    };
    let source = match (&configured, &arguments.file) {
        (Some(config), _) => config.plugin.clone(),
        (None, Some(file)) => plugin_argument(file)?,
        (None, None) => return Err("name a component, or an authenticator with --authenticator".into()),
    };
    // Only what concerns all plugins is used, such as the cache directory, so other mistakes are ignored.
    let engine = engine::engine(&draft.config.plugins)?;
    let (component, signature, pulled) = load(arguments, &engine, &source).await?;
    let manifest = component.manifest();
    writeln!(output, "plugin    {}", introduction(manifest))?;
    let cases = cases::self_test(manifest, component.role()).map_err(|errors| format!("{source}: {errors}"))?;
    if let Some(cases) = cases {
        write_lines(output, "self-test", cases.iter().map(|case| case.name.as_str()))?;
    }
    let roles = Vec::from_iter(component.roles().iter().map(|role| role.label()));
    writeln!(output, "role      {}", roles.join(", "))?;
    if manifest.is_some_and(|manifest| manifest.idempotent_renewal) {
        let renewal = "spends nothing: also asked about sessions of which only a WebSocket is open";
        writeln!(output, "renewal   {renewal}")?;
    }
    writeln!(output, "contract  {}", component.contract())?;
    if let Some(digest) = pulled {
        writeln!(output, "manifest  {digest}")?;
    }
    writeln!(output, "sha256    {}", component.digest())?;
    writeln!(output, "size      {} bytes", component.size())?;
    writeln!(output, "signature {signature}")?;
    let memory = usize::try_from(arguments.memory.as_u64()).unwrap_or(usize::MAX);
    let schema = component.settings_schema(memory).await;
    let schema = schema.and_then(|schema| portcullis::check_settings_schema(&schema).map(|()| schema));
    let schema = schema.map_err(|error| format!("{source}: {error}"))?;
    let can = starter::meanings(component.imports());
    write_lines(output, "can", can.into_iter())?;
    let asks = match &configured {
        Some(config) => {
            let (authenticator, _) = build_alone(config, &component).await.map_err(ConfigErrors::new)?;
            compared(&authenticator)
        }
        None => asked(manifest, &schema),
    };
    write_lines(output, "asks for", asks.iter().map(String::as_str))?;
    if configured.is_none() {
        let starter = starter::configuration(&source, component.role(), &schema, manifest, component.imports());
        write_lines(output, "to start", starter.lines())?;
    }
    match component.imports() {
        [] => writeln!(output, "imports   nothing")?,
        imports => write_lines(output, "imports", imports.iter().map(String::as_str))?,
    }
    writeln!(output, "settings  {schema:#}")?;
    Ok(())
}

/// Takes the authenticator of this name out of a configuration.
fn authenticator(draft: &mut Draft, name: &str) -> Result<PluginConfig, Box<dyn Error>> {
    let known = &mut draft.config.plugin_entries;
    if let Some(index) = known.iter().position(|known| known.name == name) {
        return Ok(known.swap_remove(index));
    }
    let names = known.iter().map(|known| known.name.as_str());
    let unknown = format!("{name}: {}", unknown("authenticator", name, names));
    // One that has a mistake isn't known either.
    let errors = std::mem::take(&mut draft.errors);
    Err(match errors.is_empty() {
        true => unknown,
        false => format!("{unknown}\n{}", ConfigErrors::new(errors)),
    }
    .into())
}

/// Name, version and description of a plugin.
fn introduction(manifest: Option<&Manifest>) -> String {
    let Some(manifest) = manifest else {
        return "says nothing of itself: it has no manifest".to_owned();
    };
    let mut text = manifest.name.clone();
    for (separator, part) in [(" ", &manifest.version), (": ", &manifest.description)] {
        if let Some(part) = part {
            text.push_str(separator);
            text.push_str(part);
        }
    }
    text
}

/// What a plugin will ask for, as far as that is known without its settings.
fn asked(manifest: Option<&Manifest>, schema: &serde_json::Value) -> Vec<String> {
    let grants = manifest.and_then(|manifest| manifest.grants.as_ref());
    let mut lines = match grants {
        Some(grants) => Vec::from_iter(grants.iter().map(|(key, name)| portcullis::describe_grant(*key, name))),
        None => vec!["it doesn't say: its documentation has to".to_owned()],
    };
    if schema.to_string().contains("\"x-portcullis-grant\"") {
        lines.push("what its settings name".to_owned());
    }
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    lines
}

/// What the plugin of an authenticator asks for, compared with its grants.
fn compared(authenticator: &Plugin) -> Vec<String> {
    let asked = authenticator.asked_grants().iter().map(|asked| {
        let place = asked.setting.as_ref();
        let place = place
            .map(|path| format!(" (settings.{})", path.join(".")))
            .unwrap_or_default();
        let granted = if asked.granted { "granted" } else { "not granted" };
        match asked.name.as_str() {
            "*" => asked.to_string(),
            _ => format!("{asked}{place}: {granted}"),
        }
    });
    let unasked = authenticator.unasked_grants().iter();
    let unasked = unasked.map(|unasked| format!("{unasked}: granted, but never asked for"));
    let lines = Vec::from_iter(asked.chain(unasked));
    if lines.is_empty() {
        vec!["nothing".to_owned()]
    } else {
        lines
    }
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
    /// Component files, names of built-in plugins, or references. Default: the built-in plugins
    #[arg(value_name = "FILE.wasm|NAME|REFERENCE")]
    plugins: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Compiles plugins into a folder, for an image whose gateway starts without compiling.
pub(super) async fn compile(arguments: &CompileArguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().cache_directory(&arguments.folder).build()?;
    let built_in = portcullis_plugins::NAMES.iter().map(PathBuf::from);
    let plugins = match arguments.plugins.as_slice() {
        [] => built_in.collect(),
        listed => listed.to_vec(),
    };
    for plugin in plugins {
        let component = component(&engine, &plugin_argument(&plugin)?, &arguments.config).await?;
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
    for name in portcullis_plugins::NAMES {
        writeln!(output, "{name:20}built in")?;
    }
    let draft = arguments.config.read();
    for entry in &draft.config.plugin_entries {
        let name = &entry.name;
        let plugin = match &entry.plugin {
            PluginSource::BuiltIn(plugin) => format!("the built-in {plugin}"),
            plugin => plugin.to_string(),
        };
        writeln!(output, "{name:20}{}, by {plugin}", entry.role)?;
    }
    for error in &draft.errors {
        writeln!(output, "{:20}{error}", "(not usable)")?;
    }
    Ok(())
}

/// Loads the component, and says what its signature is, and the digest that the registry has for it if it comes from one.
/// Nothing is compiled before the signature was verified.
async fn load(
    arguments: &Arguments,
    engine: &Engine,
    source: &PluginSource,
) -> Result<(Component, String, Option<Digest>), Box<dyn Error>> {
    let trust = (!arguments.trust.is_empty()).then(|| arguments.trust.iter().cloned().collect::<TrustedKeys>());
    let file = match source {
        PluginSource::Registry(reference) => {
            let (fetched, signature) = remote::inspected(reference, trust.as_ref(), &arguments.config).await?;
            let component = compiled(engine, Path::new(&reference.to_string()), &fetched.wasm)?;
            return Ok((component, signature, Some(fetched.manifest)));
        }
        PluginSource::BuiltIn(name) => PathBuf::from(name),
        PluginSource::File(path) => path.clone(),
    };
    let wasm = read(&file)?;
    let signature = signature(&file, trust.as_ref(), &wasm)?;
    Ok((compiled(engine, &file, &wasm)?, signature, None))
}

/// What `plugin inspect` says about the signature.
///
/// # Errors
///
/// If keys are given, the signature must be of these bytes and by one of them.
pub(super) fn signature(file: &Path, trust: Option<&TrustedKeys>, wasm: &[u8]) -> Result<String, String> {
    let path = signature::beside(file);
    let read = read_bytes(&path, MAX_SIGNATURE).and_then(|bytes| Signature::parse(&bytes));
    let error = |why: String| format!("{} {why}", path.display());
    let Some(keys) = trust else {
        return Ok(match read {
            Ok(signature) => unverified(&signature),
            Err(_) if !path.exists() => "none".to_owned(),
            Err(why) => error(why),
        });
    };
    let signature = read.map_err(error)?;
    keys.verify(wasm, &signature).map_err(error)?;
    Ok(verified(&signature.signer()))
}

/// What is said about a signature that wasn't verified.
pub(super) fn unverified(signature: &Signature) -> String {
    format!("by {}, not verified: --trust KEY does", signature.signer())
}

/// What is said about a signature that was verified.
pub(super) fn verified(signer: &Signer) -> String {
    format!("by {signer}, verified")
}

/// Reads a key of the command line.
pub(super) fn trusted_key(text: &str) -> Result<TrustedKey, String> {
    match text.strip_prefix("file:") {
        Some(path) => trusted_key_file(Path::new(path)),
        None => TrustedKey::parse(text),
    }
}

/// Loads a component for a command that asks it, with the engine of a configuration. Only what concerns all plugins is used of
/// that, such as the cache directory, so other mistakes are ignored.
pub(super) async fn loaded(source: &PluginSource, config: &ConfigFile) -> Result<Component, Box<dyn Error>> {
    let engine = engine::engine(&config.read().config.plugins)?;
    Ok(component(&engine, source, config).await?)
}

/// Loads a component file, a built-in plugin by its name, or a component of a registry.
async fn component(engine: &Engine, source: &PluginSource, config: &ConfigFile) -> Result<Component, String> {
    match source {
        PluginSource::Registry(reference) => {
            let fetched = remote::fetched(reference, None, config).await?;
            compiled(engine, Path::new(&reference.to_string()), &fetched.wasm)
        }
        PluginSource::BuiltIn(name) => compiled(engine, Path::new(name), &read(Path::new(name))?),
        PluginSource::File(path) => compiled(engine, path, &read(path)?),
    }
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
