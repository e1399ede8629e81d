//! `portcullis schema`: prints the JSON Schema of the configuration file.

use std::error::Error;
use std::io::Write;

use crate::config::schema;

pub(super) fn run(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    writeln!(output, "{:#}", schema())?;
    Ok(())
}
