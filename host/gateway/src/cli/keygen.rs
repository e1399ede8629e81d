//! `portcullis keygen`: a fresh secret for session cookies.

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
    fn every_key_is_another_and_can_be_read_back() {
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
