//! Turns the text format of WebAssembly on stdin into a binary on stdout. What is invalid is encoded too: to judge it is
//! the gateway's task.

use std::io;
use std::io::Read;
use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    io::stdout().write_all(&wat::parse_str(&text)?)?;
    Ok(())
}
