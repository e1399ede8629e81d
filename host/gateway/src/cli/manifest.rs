//! `portcullis plugin manifest`: puts a manifest into a component, for languages whose tools have no way to add a section.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use portcullis::Component;
use portcullis::MAX_MANIFEST;
use portcullis::Manifest;
use portcullis::Role;
use portcullis_loader::files::read_bytes;
use portcullis_registry::MAX_COMPONENT;

/// Arguments of `plugin manifest`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The component file, which is changed
    #[arg(value_name = "FILE.wasm")]
    component: PathBuf,
    /// The manifest, a JSON file: name, version, description, grants, self_test
    #[arg(value_name = "MANIFEST.json")]
    manifest: PathBuf,
}

/// Puts the manifest into the file, in place of one that it has. The file is replaced at once.
pub(super) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let Arguments { component, manifest } = arguments;
    let json = read_bytes(manifest, MAX_MANIFEST as u64).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let parsed = Manifest::parse(&json).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let at_component = |error: &dyn std::fmt::Display| format!("{}: {error}", component.display());
    let wasm = read_bytes(component, MAX_COMPONENT).map_err(|error| at_component(&error))?;
    // What is wrong with the component is found below.
    let role = Component::role_of(&wasm).unwrap_or(Role::Authenticator);
    let tested = portcullis_loader::cases::self_test(Some(&parsed), role);
    tested.map_err(|error| format!("{}: {error}", manifest.display()))?;
    let embedded = Manifest::embed(&wasm, &json).map_err(|error| at_component(&error))?;
    let partial = component.with_extension("partial");
    let written = fs::write(&partial, embedded).and_then(|()| fs::rename(&partial, component));
    if let Err(error) = written {
        let _ = fs::remove_file(&partial);
        return Err(at_component(&format!("can't be written: {error}")).into());
    }
    let version = parsed.version.map(|version| format!(" {version}")).unwrap_or_default();
    writeln!(output, "{} is {}{version}", component.display(), parsed.name)?;
    Ok(())
}
