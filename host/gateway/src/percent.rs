//! Percent-encodes a text that becomes a part of a path or of a header, so that it can't change what stands around it.

use std::fmt;

use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;

/// The text, of which all but the unreserved characters of RFC 3986, section 2.3, are encoded.
pub(crate) fn encode(text: &str) -> impl fmt::Display + Iterator<Item = &str> {
    utf8_percent_encode(text, RESERVED)
}

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
