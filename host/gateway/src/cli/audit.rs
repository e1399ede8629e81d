//! `portcullis audit verify`: finds what was done to an audit file after it was written.

use std::error::Error;
use std::fs::File;
use std::io;
use std::io::BufReader;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::audit_chain::AuditPublicKey;
use crate::audit_chain::ChainEnd;
use crate::audit_chain::Summary;
use crate::audit_chain::Verifier;

/// Arguments of `audit verify`.
#[derive(Args, Debug)]
pub(super) struct VerifyArguments {
    /// The files of one log, the oldest first; - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The key that must have signed the checkpoints: public_key in the log and in the file. Can be repeated
    #[arg(long = "public-key", value_name = "KEY")]
    public_keys: Vec<AuditPublicKey>,
    /// A line that the log must have: checkpoint in the log of the gateway. Can be repeated
    #[arg(long = "checkpoint", value_name = "NUMBER:HASH")]
    checkpoints: Vec<ChainEnd>,
    /// Accept that a new chain begins, as at each start of a gateway that writes to a socket
    #[arg(long)]
    several_chains: bool,
}

/// Verifies the files. Returns whether nothing is wrong.
pub(super) fn verify(arguments: &VerifyArguments, output: &mut impl Write) -> Result<bool, Box<dyn Error>> {
    let mut verifier = Verifier::default()
        .trust(arguments.public_keys.iter().copied())
        .expect(arguments.checkpoints.iter().copied())
        .allow_several(arguments.several_chains);
    for path in &arguments.files {
        let name = path.display().to_string();
        let read = match name.as_str() {
            "-" => verifier.read("standard input", io::stdin().lock()),
            _ => File::open(path).and_then(|file| verifier.read(&name, BufReader::new(file))),
        };
        read.map_err(|error| format!("{name} can't be read: {error}"))?;
    }
    let found = verifier.finish();
    write(&found, !arguments.public_keys.is_empty(), output)?;
    Ok(found.fault_count == 0)
}

fn write(found: &Summary, is_signed: bool, output: &mut impl Write) -> io::Result<()> {
    for fault in &found.faults {
        writeln!(output, "{fault}")?;
    }
    let listed = u64::try_from(found.faults.len()).unwrap_or(u64::MAX);
    if found.fault_count > listed {
        writeln!(output, "and {} more", found.fault_count - listed)?;
    }
    let Summary { lines, first, end, .. } = found;
    writeln!(output, "lines: {lines}, from {first} to {end}")?;
    if found.chains > 1 {
        writeln!(output, "chains: {}", found.chains)?;
    }
    let signed = if is_signed { "signed checkpoints" } else { "checkpoints" };
    write!(output, "{signed}: {}", found.checkpoints)?;
    match &found.covered_until {
        Some(time) => writeln!(output, ", the last one of {time}; lines after it: {}", found.uncovered)?,
        None => writeln!(output)?,
    }
    if found.dropped > 0 {
        writeln!(output, "dropped by the gateway: {}", found.dropped)?;
    }
    if found.cut_off > 0 {
        writeln!(output, "cut off by a crash, or being written: {}", found.cut_off)?;
    }
    match found.fault_count {
        0 => writeln!(output, "the chain is whole"),
        count => writeln!(output, "mistakes: {count}"),
    }
}
