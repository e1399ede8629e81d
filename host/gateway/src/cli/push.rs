//! `portcullis plugin push`: brings a component to a registry, and its signature with it.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use clap::Args;
use portcullis::Component;
use portcullis_loader::files::read_bytes;
use portcullis_loader::signature;
use portcullis_loader::signature::MAX_SIGNATURE;
use portcullis_loader::signature::Signature;
use portcullis_registry::ComponentInfo;
use portcullis_registry::MAX_COMPONENT;
use portcullis_registry::Reference;

use crate::cli::ConfigFile;
use crate::cli::engine;
use crate::cli::inspect;
use crate::cli::pull::reference;
use crate::cli::remote::Configured;

/// Arguments of `plugin push`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The component file. If FILE.wasm.minisig lies beside it, this signature is pushed too
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// Where to, with a tag, such as oci://registry.example/team/badge:1.0
    #[arg(value_parser = reference)]
    reference: Reference,
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) async fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let Arguments { file, reference, .. } = arguments;
    let configured = Configured::read(&arguments.config);
    let at = |why: String| format!("{}: {why}", file.display());
    let wasm = read_bytes(file, MAX_COMPONENT).map_err(at)?;
    // What no gateway could load isn't published.
    let engine = engine::engine(&configured.draft.config.plugins)?;
    let component = Component::new(&engine, &wasm).map_err(|error| at(error.to_string()))?;
    let signature_file = signature::beside(file);
    let signature = match signature_file.exists() {
        false => None,
        true => {
            let bytes = read_bytes(&signature_file, MAX_SIGNATURE);
            let parsed = bytes.and_then(|bytes| Signature::parse(&bytes).map(|signature| (bytes, signature)));
            Some(parsed.map_err(|why| format!("{} {why}", signature_file.display()))?)
        }
    };
    let mut info = ComponentInfo::new(created(arguments));
    info.imports = component.imports().to_vec();
    info.exports = component.exports().to_vec();
    let pushed = configured.remote.registries().push(reference, wasm.into(), &info).await;
    let pushed = match pushed {
        Ok(pushed) => pushed,
        Err(why) => return Err(configured.error(reference, why).into()),
    };
    writeln!(output, "manifest  {}", pushed.manifest)?;
    writeln!(output, "component {}", pushed.component)?;
    if let Some((bytes, signature)) = signature {
        let registries = configured.remote.registries();
        if let Err(why) = registries
            .push_signature(reference, pushed.manifest, bytes.into())
            .await
        {
            return Err(configured
                .error(reference, format!("the signature wasn't pushed: {why}"))
                .into());
        }
        writeln!(output, "signature {}", inspect::unverified(&signature))?;
    }
    writeln!(output, "pinned by {}", reference.with_digest(pushed.manifest))?;
    Ok(())
}

/// When the component was made: `SOURCE_DATE_EPOCH` if it is set, else when its file was last written, so that the same file
/// gives the same manifest.
fn created(arguments: &Arguments) -> String {
    let epoch = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse().ok());
    let epoch = epoch.map(|seconds: u32| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into()));
    let written = || arguments.file.metadata().and_then(|metadata| metadata.modified()).ok();
    let time = epoch.or_else(written).unwrap_or(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_seconds(time).to_string()
}
