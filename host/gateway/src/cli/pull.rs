//! `portcullis plugin pull`: fetches a component from a registry into the store, pins its tag in `portcullis.lock`, and writes
//! it to a file if asked.

use std::error::Error;
use std::fs::Permissions;
use std::io;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use portcullis_loader::signature;
use portcullis_loader::signature::TrustedKey;
use portcullis_loader::signature::TrustedKeys;
use portcullis_registry::Digest;
use portcullis_registry::Reference;
use portcullis_registry::Version;

use crate::cli::ConfigFile;
use crate::cli::inspect;
use crate::cli::remote::Configured;

/// Arguments of `plugin pull`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The component, such as oci://registry.example/team/badge:1.0
    #[arg(value_parser = reference)]
    reference: Reference,
    /// Also write the component to this file, and its signature to FILE.minisig if it has one
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Pin a tag to the version that it names now, also if it is pinned to another one
    #[arg(long)]
    update: bool,
    /// The key that must have signed the component: a public key of minisign, or file:PATH. Can be repeated. Default:
    /// plugins.trust of the configuration
    #[arg(long, value_name = "KEY", value_parser = inspect::trusted_key)]
    trust: Vec<TrustedKey>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Reads a reference of the command line.
pub(super) fn reference(text: &str) -> Result<Reference, String> {
    text.parse::<Reference>().map_err(|error| format!("it {error}"))
}

pub(super) async fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let Arguments { reference, .. } = arguments;
    let configured = Configured::read(&arguments.config);
    let own = (!arguments.trust.is_empty()).then(|| arguments.trust.iter().cloned().collect::<TrustedKeys>());
    let trust = own.or_else(|| configured.draft.config.plugins.trust.as_deref().cloned());
    let remote = &configured.remote;
    let fetched = match arguments.update {
        true => remote.update(reference, trust.as_ref()).await,
        false => remote.fetch_alone(reference, trust.as_ref()).await,
    };
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(why) => return Err(configured.error(reference, why).into()),
    };
    remote.pin_alone(reference, &fetched).await?;
    writeln!(output, "manifest  {}", fetched.manifest)?;
    writeln!(output, "component {}", Digest::of(&fetched.wasm))?;
    writeln!(output, "size      {} bytes", fetched.wasm.len())?;
    if let Some(signer) = &fetched.signer {
        writeln!(output, "signature {}", inspect::verified(signer))?;
    }
    if let (Version::Tag(_), Some(lock)) = (reference.version(), &configured.draft.lock) {
        writeln!(output, "pinned    in {}", lock.display())?;
    }
    if let Some(file) = &arguments.output {
        write(file, &fetched.wasm)?;
        writeln!(output, "written   to {}", file.display())?;
        if let Some(bytes) = remote.signature(reference, fetched.manifest).await? {
            let file = signature::beside(file);
            write(&file, &bytes)?;
            writeln!(output, "written   to {}", file.display())?;
        }
    }
    Ok(())
}

/// Writes a file aside, and then gives it its name, so that a gateway that watches the folder sees it complete.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let written = || -> io::Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".writing-").permissions(Permissions::from_mode(0o644));
        let mut file = builder.tempfile_in(folder.unwrap_or_else(|| Path::new(".")))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    written().map_err(|error| format!("{}: can't be written: {error}", path.display()))
}
