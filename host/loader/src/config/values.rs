//! Reads common kinds of values: durations, sizes, networks, and names of headers and cookies. Each is parsed into its type
//! and checked against its bounds.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use serde_json::json;

use crate::config::reader::Item;

/// Reads a duration such as `12h`, `150ms` or `1h30m`.
pub fn duration(item: Item<'_>, bounds: RangeInclusive<Duration>) -> Option<Duration> {
    let place = item.place.clone();
    let [least, most] = [bounds.start(), bounds.end()].map(|bound| humantime::format_duration(*bound));
    let schema = || json!({ "type": "string", "pattern": DURATION, "description": format!("{EXPECTED_DURATION}: {least} to {most}") });
    if item.describes(schema) {
        return None;
    }
    // humantime 2.4 panics if seconds and nanoseconds overflow together, which takes more than 20 bytes.
    let parse = |text: &str| {
        if text.len() > 20 {
            None
        } else {
            humantime::parse_duration(text).ok()
        }
    };
    let duration = item.parse(EXPECTED_DURATION, parse)?;
    if !bounds.contains(&duration) {
        place.report(format!("must be {least} to {most}"));
        return None;
    }
    Some(duration)
}

/// Reads a number of bytes such as `32MiB`.
pub fn size(item: Item<'_>, bounds: RangeInclusive<usize>) -> Option<usize> {
    let place = item.place.clone();
    let [least, most] = [bounds.start(), bounds.end()].map(|bound| bytesize::ByteSize(*bound as u64));
    let schema =
        || json!({ "type": "string", "pattern": SIZE, "description": format!("{EXPECTED_SIZE}: {least} to {most}") });
    if item.describes(schema) {
        return None;
    }
    let parse = |text: &str| text.parse::<bytesize::ByteSize>().ok();
    let size = item.parse(EXPECTED_SIZE, parse)?;
    let size = usize::try_from(size.as_u64()).ok().filter(|size| bounds.contains(size));
    if size.is_none() {
        place.report(format!("must be {least} to {most}"));
    }
    size
}

/// A duration as it is written: `1h30m`.
pub fn shown_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// A number of bytes as it is written, in the largest unit of which it is a whole number: `32MiB`.
pub fn shown_size(size: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| size > 0 && size.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{size}B"), |(name, unit)| format!("{}{name}", size / unit))
}

const EXPECTED_DURATION: &str = "a duration, such as \"12h\", \"1h30m\" or \"150ms\"";
const EXPECTED_SIZE: &str = "a size, such as \"64KiB\" or \"32MiB\"";

/// The form of what humantime reads, but not which units there are, and of zero without a unit.
const DURATION: &str = r"^\s*(0|([0-9][0-9\s]*(\.[0-9\s]+)?[A-Za-zµ]+\s*)+)$";
/// The form of what bytesize reads.
const SIZE: &str = r"^[0-9.]+\s*[A-Za-z]*$";

/// Reads a network in CIDR notation, or a single address.
pub fn network(item: Item<'_>) -> Option<IpNet> {
    item.parse(EXPECTED_NETWORK, parse_network)
}

/// Reads a network as [`network`] does, or `"unix"`, which is `None` in it.
pub fn network_or_unix(item: Item<'_>) -> Option<Option<IpNet>> {
    item.parse(EXPECTED_NETWORK, |text| match text {
        "unix" => Some(None),
        network => parse_network(network).map(Some),
    })
}

const EXPECTED_NETWORK: &str = "a network, such as \"10.0.0.0/8\" or \"::1\"";

fn parse_network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().ok();
    let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.map(|network| network.trunc())
}

/// Reads the name of an HTTP header.
pub fn header_name(item: Item<'_>) -> Option<HeaderName> {
    item.parse("a header name", |text| text.parse().ok())
}

/// Reads the name of a cookie, which is a token (RFC 6265, section 4.1.1; RFC 9110, section 5.6.2).
pub fn cookie_name(item: Item<'_>) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let parse = |text: &str| (!text.is_empty() && text.bytes().all(allowed)).then(|| text.to_owned());
    item.parse("a cookie name", parse)
}

/// Reads the items of a list. Items with a mistake are left out.
pub fn each<'a, T>(item: Option<Item<'a>>, parse: impl Fn(Item<'a>) -> Option<T>) -> Vec<T> {
    item.map(Item::list)
        .unwrap_or_default()
        .into_iter()
        .filter_map(parse)
        .collect()
}
