//! Where the next part of a list is: the header `Link` with the relation `next` (RFC 8288, and OCI distribution specification,
//! "Listing Referrers").

use http::HeaderMap;
use http::header;

/// The address of the next part, as the registry writes it. `None` if this is the last one.
pub(crate) fn next(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::LINK).iter();
    values.filter_map(|value| value.to_str().ok()).find_map(next_of)
}

/// The first link of a value whose relations have `next` among them.
fn next_of(value: &str) -> Option<&str> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let (parameters, others) = split(after);
        if parameters.split(';').any(is_next) {
            return Some(target);
        }
        rest = others;
    }
    None
}

/// The parameters of a link, and what comes after the comma behind them. A comma in quotes is a part of a parameter.
fn split(text: &str) -> (&str, &str) {
    let mut is_quoted = false;
    let end = text.find(|c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    end.and_then(|end| text.split_at_checked(end)).unwrap_or((text, ""))
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    let value = value.trim().trim_matches('"');
    let mut relations = value.split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_part_is_found() {
        let cases: [(&[&str], Option<&str>); 11] = [
            (&[], None),
            (&["</v2/a?last=b>; rel=\"next\""], Some("/v2/a?last=b")),
            (&["</v2/a>;rel=next"], Some("/v2/a")),
            (
                &["</first>; rel=prev, </second>; title=\"a,b; rel=next\"; REL=\"up Next\""],
                Some("/second"),
            ),
            (&["</first>; rel=prev", "</second>; rel=next"], Some("/second")),
            (&["</a>; rel=\"prev\""], None),
            (&["</a>"], None),
            (&["</a; rel=next"], None),
            (&["rel=next"], None),
            (&["<>; rel=next"], Some("")),
            (&["\"<", "<<>>;\"", ",,,<"], None),
        ];
        for (values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::LINK, value.parse().unwrap());
            }
            assert_eq!(next(&headers), expected, "{values:?}");
        }
    }
}
