//! Reads common kinds of values: durations, sizes, networks, and names of headers and cookies. Each is parsed into its type
//! and checked against its bounds.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;

use crate::config::reader::Item;

/// Reads a duration such as `12h`, `150ms` or `1h30m`.
pub fn duration(item: Item<'_>, bounds: RangeInclusive<Duration>) -> Option<Duration> {
    let place = item.place.clone();
    // humantime 2.4 panics if seconds and nanoseconds overflow together, which takes more than 20 bytes.
    let parse = |text: &str| {
        if text.len() > 20 {
            None
        } else {
            humantime::parse_duration(text).ok()
        }
    };
    let duration = item.parse("a duration, such as \"12h\", \"1h30m\" or \"150ms\"", parse)?;
    if !bounds.contains(&duration) {
        let [least, most] = [bounds.start(), bounds.end()].map(|bound| humantime::format_duration(*bound));
        place.report(format!("must be {least} to {most}"));
        return None;
    }
    Some(duration)
}

/// Reads a number of bytes such as `32MiB`.
pub fn size(item: Item<'_>, bounds: RangeInclusive<usize>) -> Option<usize> {
    let place = item.place.clone();
    let parse = |text: &str| text.parse::<bytesize::ByteSize>().ok();
    let size = item.parse("a size, such as \"64KiB\" or \"32MiB\"", parse)?;
    let size = usize::try_from(size.as_u64()).ok().filter(|size| bounds.contains(size));
    if size.is_none() {
        let [least, most] = [bounds.start(), bounds.end()].map(|bound| bytesize::ByteSize(*bound as u64));
        place.report(format!("must be {least} to {most}"));
    }
    size
}

/// Reads a network in CIDR notation, or a single address.
pub fn network(item: Item<'_>) -> Option<IpNet> {
    let one = |text: &str| text.parse::<IpAddr>().ok().map(IpNet::from);
    item.parse("a network, such as \"10.0.0.0/8\" or \"::1\"", |text| {
        text.parse::<IpNet>()
            .ok()
            .or_else(|| one(text))
            .map(|network| network.trunc())
    })
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
