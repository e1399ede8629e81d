//! Finds the helper program that accepts Kerberos tokens. It is built separately from the gateway, so it may be missing;
//! the error then says how to build it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use portcullis_loader::config::document::Environment;
use portcullis_loader::config::reader::Table;

use super::path;
use crate::program;

/// Returns the configured helper, or else the one next to this program, or else the first one in PATH.
pub(super) fn find(table: &mut Table<'_>, environment: &Environment) -> Option<PathBuf> {
    if let Some(item) = table.take("helper") {
        let place = item.place.clone();
        let path = path(&place, &item.text()?)?;
        return match is_program(&path) {
            Ok(()) => Some(path),
            Err(error) => {
                place.report(format!("{} can't be run: {error}. {TO_BUILD}", path.display()));
                None
            }
        };
    }
    let beside = program::folder().into_iter().map(Path::to_owned);
    let search = environment.variable("PATH").map(std::env::split_paths);
    let found = beside
        .chain(search.into_iter().flatten())
        .map(|folder| folder.join(HELPER))
        .find(|path| path.is_absolute() && is_program(path).is_ok());
    if found.is_none() {
        table.place.report(format!(
            "there is no {HELPER} next to this program or in PATH, which Kerberos needs. {TO_BUILD}"
        ));
    }
    found
}

fn is_program(path: &Path) -> io::Result<()> {
    let metadata = path.metadata()?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(io::Error::other("it is not an executable file"));
    }
    Ok(())
}

/// The file name of the helper.
const HELPER: &str = "portcullis-negotiate";

const TO_BUILD: &str = "Build it from the sources of Portcullis, after `apt-get install libkrb5-dev libclang-dev pkg-config`: \
                        `cargo build --release --manifest-path host/negotiate/Cargo.toml --target-dir target`; running it \
                        needs libgssapi-krb5-2";
