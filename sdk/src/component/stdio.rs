//! What a plugin prints, the message of a panic included, goes to the operator's log through the host function for log
//! lines. The C library would use the streams of WASI, and look for `RUST_BACKTRACE` in the environment: twenty imports, which
//! every instance is linked with. Its objects are linked only for names that nothing else defines, so the functions here take
//! the place of its own.

use std::ffi::c_char;
use std::ffi::c_int;
use std::sync::Mutex;

use super::bindings::wasi::logging::logging;

/// The longest line, in bytes. The rest of one is left out, as the gateway does.
const MAX_LINE: usize = 4 * 1024;

/// The starts of the lines of stdout and stderr that have not ended yet.
static LINES: Mutex<[Line; 2]> = Mutex::new([const { Line::new() }; 2]);

/// The start of a line. It is kept without allocating, because a plugin that has run out of memory says so.
struct Line {
    bytes: [u8; MAX_LINE],
    len: usize,
}

impl Line {
    const fn new() -> Self {
        Self {
            bytes: [0; MAX_LINE],
            len: 0,
        }
    }

    fn write(&mut self, bytes: &[u8], stream: &Stream) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n");
            self.append(text.unwrap_or(part));
            if text.is_some() {
                self.end(stream);
            }
        }
    }

    fn append(&mut self, text: &[u8]) {
        let room = self.bytes.iter_mut().skip(self.len);
        self.len += room.zip(text).map(|(place, byte)| *place = *byte).count();
    }

    fn end(&mut self, stream: &Stream) {
        let line = self.bytes.get(..self.len).unwrap_or_default();
        self.len = 0;
        match str::from_utf8(line) {
            Ok("") => {}
            Ok(line) => logging::log(stream.level, stream.name, line),
            Err(_) => logging::log(stream.level, stream.name, &String::from_utf8_lossy(line)),
        }
    }
}

/// How the lines of a stream are logged.
struct Stream {
    level: logging::Level,
    name: &'static str,
}

const STDOUT: Stream = Stream {
    level: logging::Level::Info,
    name: "stdout",
};

const STDERR: Stream = Stream {
    level: logging::Level::Warn,
    name: "stderr",
};

/// Logs the lines that have not ended.
pub(super) fn flush() {
    if let Ok(mut lines) = LINES.try_lock() {
        let [out, err] = &mut *lines;
        out.end(&STDOUT);
        err.end(&STDERR);
    }
}

/// POSIX `write`. There are no files but stdout and stderr.
///
/// # Safety
///
/// `bytes` points to `len` bytes.
#[allow(unsafe_code, reason = "the C library defines how it is called")]
#[unsafe(no_mangle)]
unsafe extern "C" fn write(file: c_int, bytes: *const u8, len: usize) -> isize {
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, len) };
    // While a line is written nothing else is, unless that fails and the plugin panics.
    let Ok(mut lines) = LINES.try_lock() else { return -1 };
    let [out, err] = &mut *lines;
    match file {
        1 => out.write(bytes, &STDOUT),
        2 => err.write(bytes, &STDERR),
        _ => return -1,
    }
    len.try_into().unwrap_or(isize::MAX)
}

/// POSIX `getenv`. A plugin has no environment variables.
#[allow(unsafe_code, reason = "the C library defines how it is called")]
#[unsafe(no_mangle)]
extern "C" fn getenv(_name: *const c_char) -> *mut c_char {
    std::ptr::null_mut()
}
