//! `portcullis plugin inspect` and `list`: describe components. A component is compiled, or loaded from the same cache that
//! `serve` uses, and asked for the schema of its settings. It gets no grants.

use std::error::Error;
use std::io;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use portcullis::Component;

use crate::cli::ConfigFile;
use crate::cli::engine;
use crate::cli::starter;
use crate::config::PluginSource;
use crate::files::read_bytes;
use crate::generation::MAX_COMPONENT;

/// Arguments of `plugin inspect`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The component file, or the name of a built-in plugin
    #[arg(value_name = "FILE.wasm|NAME")]
    file: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) async fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let component = load(arguments)?;
    writeln!(output, "contract  {}", component.contract())?;
    writeln!(output, "sha256    {}", component.digest())?;
    writeln!(output, "size      {} bytes", component.size())?;
    let schema = component.settings_schema().await?;
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
            PluginSource::File(file) => file.display().to_string(),
        };
        writeln!(output, "{name:20}authenticator, by {plugin}")?;
    }
    for error in &draft.errors {
        writeln!(output, "{:20}{error}", "(not usable)")?;
    }
    Ok(())
}

fn load(arguments: &Arguments) -> Result<Component, Box<dyn Error>> {
    let name = arguments.file.display();
    let built_in = arguments.file.to_str().and_then(portcullis_plugins::find);
    let wasm = match built_in {
        Some(wasm) => wasm.to_owned(),
        None => read_bytes(&arguments.file, MAX_COMPONENT).map_err(|error| format!("{name}: {error}{BUILT_IN}"))?,
    };
    // Only the cache directory is used, so other mistakes in the configuration are ignored.
    let engine = engine::engine(&arguments.config.read().config.plugins)?;
    Ok(Component::new(&engine, &wasm).map_err(|error| format!("{name}: {error}"))?)
}

const BUILT_IN: &str = "; `portcullis plugin list` names the built-in plugins";
