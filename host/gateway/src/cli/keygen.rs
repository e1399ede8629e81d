//! `portcullis keygen`: prints a new random secret, for session cookies or for fronts.

use std::error::Error;
use std::io::Write;

use portcullis::session::Key;

pub(super) fn run(output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    writeln!(output, "{}", Key::generate()?.to_hex())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_new_and_can_be_parsed() {
        let fresh = || {
            let mut output = Vec::new();
            run(&mut output).unwrap();
            String::from_utf8(output).unwrap()
        };
        let (one, other) = (fresh(), fresh());
        assert_ne!(one, other);
        assert_eq!(format!("{}\n", Key::from_hex(one.trim()).unwrap().to_hex()), one);
    }
}
