//! `portcullis plugin inspect`: describes a component. The component is compiled, or loaded from the same cache that `serve`
//! uses, and asked for the schema of its settings. It gets no grants.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use portcullis::Component;

use crate::cli::ConfigFile;
use crate::cli::engine;
use crate::files::read_bytes;
use crate::generation::MAX_COMPONENT;

/// Arguments of `plugin inspect`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The component file
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) async fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let component = load(arguments)?;
    writeln!(output, "contract  {}", component.contract())?;
    writeln!(output, "sha256    {}", component.digest())?;
    writeln!(output, "size      {} bytes", component.size())?;
    for (index, import) in component.imports().iter().enumerate() {
        writeln!(output, "{:10}{import}", if index == 0 { "imports" } else { "" })?;
    }
    if component.imports().is_empty() {
        writeln!(output, "imports   nothing")?;
    }
    let schema = component.settings_schema().await?;
    writeln!(output, "settings  {schema:#}")?;
    Ok(())
}

fn load(arguments: &Arguments) -> Result<Component, Box<dyn Error>> {
    let name = arguments.file.display();
    let wasm = read_bytes(&arguments.file, MAX_COMPONENT).map_err(|error| format!("{name}: {error}"))?;
    // Only the cache directory is used, so other mistakes in the configuration are ignored.
    let engine = engine::engine(&arguments.config.read().config.plugins)?;
    Ok(Component::new(&engine, &wasm).map_err(|error| format!("{name}: {error}"))?)
}
