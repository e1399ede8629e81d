//! `portcullis plugin sign` and `verify`: signatures of components, in the format of minisign.

use std::error::Error;
use std::io::IsTerminal;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use minisign::PublicKey;
use minisign::SecretKey;
use minisign::SecretKeyBox;
use portcullis_loader::files::private_file;
use portcullis_loader::files::read_bytes;
use portcullis_loader::signature;
use portcullis_loader::signature::MAX_SIGNATURE;
use portcullis_loader::signature::TrustedKey;
use portcullis_loader::signature::TrustedKeys;
use portcullis_registry::MAX_COMPONENT;

use crate::cli::ConfigFile;
use crate::cli::inspect;
use crate::cli::pull;
use crate::cli::remote;
use crate::config::PluginSource;
use crate::config::plugin_argument;

/// Arguments of `plugin sign`.
#[derive(Args, Debug)]
pub(super) struct SignArguments {
    /// The component file. The signature is written beside it, as FILE.wasm.minisig
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// The secret key, a file that `minisign -G` wrote
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The password of the key, as file:PATH or env:NAME. Without it, a key that has one asks for it
    #[arg(long, value_name = "REFERENCE")]
    password: Option<String>,
    /// A comment that is signed too, such as "badge 1.0". The log of a gateway has it. Default: the time and the file's name
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

/// Signs a component.
pub(super) fn sign(arguments: &SignArguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let file = &arguments.file;
    let wasm = read_bytes(file, MAX_COMPONENT).map_err(|why| format!("{}: {why}", file.display()))?;
    let key = secret_key(arguments)?;
    let comment = arguments.comment.clone().unwrap_or_else(|| default_comment(file));
    if comment.contains(['\n', '\r']) {
        return Err("the comment must be one line".into());
    }
    let public = PublicKey::from_secret_key(&key);
    let signed = public.and_then(|public| minisign::sign(Some(&public), &key, wasm.as_slice(), Some(&comment), None));
    let signed = signed.map_err(|error| format!("{}: can't be signed: {error}", file.display()))?;
    let path = signature::beside(file);
    pull::write(&path, signed.to_string().as_bytes())?;
    let signature = signature::Signature::parse(&read_bytes(&path, MAX_SIGNATURE)?)?;
    writeln!(output, "{}: signed by {}", path.display(), signature.signer())?;
    Ok(())
}

/// Reads the key, and removes its password.
fn secret_key(arguments: &SignArguments) -> Result<SecretKey, String> {
    let path = arguments.key.display();
    let bytes = private_file(&arguments.key, MAX_SIGNATURE)?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{path} is not UTF-8"))?;
    let wrong = |why: &dyn std::fmt::Display| format!("{path} can't be used as a secret key of minisign: {why}");
    let encoded = text.lines().nth(1).and_then(|line| BASE64_STANDARD.decode(line).ok());
    let key = encoded.and_then(|bytes| SecretKey::from_bytes(&bytes).ok());
    let key = key.ok_or_else(|| wrong(&"expected its two lines"))?;
    if !key.is_encrypted() {
        // The crate would insist on a checksum, which minisign leaves out of a key without a password. What signs is verified
        // by the public key that belongs to it.
        return Ok(key);
    }
    let boxed = SecretKeyBox::from_string(&text).map_err(|error| wrong(&error))?;
    let password = arguments.password.as_deref().map(password).transpose()?;
    if password.is_none() && !std::io::stdin().is_terminal() {
        return Err(wrong(
            &"it has a password, and there is no terminal to ask for it; use --password file:PATH",
        ));
    }
    // Without a password, it is asked for at the terminal.
    boxed.into_secret_key(password).map_err(|error| wrong(&error))
}

/// Reads a password that the command line refers to, so that the password itself is in no list of processes.
fn password(reference: &str) -> Result<String, String> {
    if let Some(path) = reference.strip_prefix("file:") {
        let bytes = private_file(Path::new(path), MAX_SIGNATURE)?;
        let text = String::from_utf8(bytes).map_err(|_| format!("{path} is not UTF-8"))?;
        return Ok(text.trim_end_matches(['\n', '\r']).to_owned());
    }
    match reference.strip_prefix("env:") {
        Some(name) => std::env::var(name).map_err(|_| format!("the environment variable {name:?} is not set")),
        None => Err("--password must be file:PATH or env:NAME".to_owned()),
    }
}

/// What minisign itself signs by default.
fn default_comment(file: &Path) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let name = file.file_name().unwrap_or_default().display();
    format!("timestamp:{}\tfile:{name}\thashed", now.unwrap_or_default().as_secs()).replace(['\n', '\r'], " ")
}

/// Arguments of `plugin verify`.
#[derive(Args, Debug)]
pub(super) struct VerifyArguments {
    /// The component file, whose signature lies beside it, or a reference
    #[arg(value_name = "FILE.wasm|REFERENCE")]
    plugin: PathBuf,
    /// The key that must have signed it: a public key of minisign, or file:PATH. Can be repeated
    #[arg(long, value_name = "KEY", value_parser = inspect::trusted_key, required = true)]
    trust: Vec<TrustedKey>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Verifies the signature of a component.
pub(super) async fn verify(arguments: &VerifyArguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let trust = arguments.trust.iter().cloned().collect::<TrustedKeys>();
    let plugin = arguments.plugin.display();
    let signature = match plugin_argument(&arguments.plugin)? {
        PluginSource::BuiltIn(name) => {
            return Err(format!("{name} is a part of the gateway, and has no signature of its own").into());
        }
        PluginSource::File(file) => {
            let wasm = read_bytes(&file, MAX_COMPONENT).map_err(|why| format!("{plugin}: {why}"))?;
            inspect::signature(&file, Some(&trust), &wasm)?
        }
        PluginSource::Registry(reference) => {
            let (_, signature) = remote::inspected(&reference, Some(&trust), &arguments.config).await?;
            signature
        }
    };
    writeln!(output, "{plugin}: signature {signature}")?;
    Ok(())
}
