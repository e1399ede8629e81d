//! What all fuzz targets share: [`target!`] defines one. libFuzzer calls it with inputs of its own; in a build without
//! libFuzzer, the program runs it once for each file named on its command line.

use std::env;
use std::fs;
use std::process::ExitCode;

/// Defines the target of a program. Its input is `&[u8]`, or `&str` if whatever isn't UTF-8 is to be left out.
#[macro_export]
macro_rules! target {
    (|$input:ident: &$kind:ty| $body:block) => {
        #[cfg(feature = "libfuzzer")]
        libfuzzer_sys::fuzz_target!(|$input: &$kind| $body);

        #[cfg(not(feature = "libfuzzer"))]
        fn main() -> std::process::ExitCode {
            $crate::replay(|$input: &$kind| $body)
        }
    };
}

/// What a target takes.
pub trait Input {
    /// `None`: the target doesn't take these bytes.
    fn read(bytes: &[u8]) -> Option<&Self>;
}

impl Input for [u8] {
    fn read(bytes: &[u8]) -> Option<&Self> {
        Some(bytes)
    }
}

impl Input for str {
    fn read(bytes: &[u8]) -> Option<&Self> {
        std::str::from_utf8(bytes).ok()
    }
}

/// Runs `target` for each file of the command line. Like under libFuzzer, it panics when something doesn't hold.
pub fn replay<I: Input + ?Sized>(target: impl Fn(&I)) -> ExitCode {
    for path in env::args_os().skip(1) {
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        };
        eprintln!("{}", path.display());
        I::read(&bytes).map(&target);
    }
    ExitCode::SUCCESS
}
