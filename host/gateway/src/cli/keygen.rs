//! `portcullis keygen`: makes a new random secret, for session cookies or for fronts.

use std::error::Error;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use portcullis::session::Key;

/// Arguments of `keygen`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Write the secret to a new file that only its owner can read, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let secret = format!("{}\n", Key::generate()?.to_hex());
    match &arguments.out {
        Some(path) => write_new(path, &secret).map_err(|error| cannot_write(path, &error))?,
        None => output.write_all(secret.as_bytes())?,
    }
    Ok(())
}

/// Never replaces a file: whatever an older secret protects would be lost with it.
fn write_new(path: &Path, secret: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!("{path} exists already. Delete it first if nothing needs its secret any more.")
        }
        _ => format!("{path} can't be written: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_new_and_can_be_parsed() {
        let fresh = || {
            let mut output = Vec::new();
            run(&Arguments { out: None }, &mut output).unwrap();
            String::from_utf8(output).unwrap()
        };
        let (one, other) = (fresh(), fresh());
        assert_ne!(one, other);
        assert_eq!(format!("{}\n", Key::from_hex(one.trim()).unwrap().to_hex()), one);
    }

    /// Row E5 of the field reports.
    #[test]
    fn a_file_is_private_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let arguments = Arguments {
            out: Some(path.clone()),
        };
        let mut output = Vec::new();
        run(&arguments, &mut output).unwrap();
        assert!(output.is_empty());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(Key::from_hex(text.trim()).is_ok());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;

            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let error = run(&arguments, &mut output).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
