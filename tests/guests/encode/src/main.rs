//! Converts the text format of WebAssembly on stdin into the binary format on stdout. Invalid modules are converted
//! too, since the gateway has to reject them.

use std::io;
use std::io::Read;
use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    io::stdout().write_all(&wat::parse_str(&text)?)?;
    Ok(())
}
