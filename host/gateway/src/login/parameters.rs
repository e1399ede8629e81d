//! The parameters of a callback or a notice. One that is there twice could be read differently by two programs, so it is an error
//! (RFC 6749, section 3.1).

/// The most parameters. A provider has about ten.
const MOST: usize = 64;

/// The parameters of a query or a form, decoded (`application/x-www-form-urlencoded`). The error says what is wrong with them.
pub(super) fn each_once(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut parameters = Vec::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()).into_owned() {
        if parameters.iter().any(|(known, _)| *known == name) {
            return Err("a parameter is there twice");
        }
        if parameters.len() == MOST {
            return Err("there are more than 64 parameters");
        }
        parameters.push((name, value));
    }
    Ok(parameters)
}

/// The value of a parameter of one of the gateway's own links. Of several, none counts.
pub(super) fn one(query: Option<&str>, name: &str) -> Option<String> {
    let parameters = form_urlencoded::parse(query?.as_bytes());
    let mut values = parameters.filter(|(known, _)| known == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Some(value.into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_is_there_once() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            each_once("code=a%20b+c&state=&x"),
            Ok(vec![pair("code", "a b c"), pair("state", ""), pair("x", "")])
        );
        assert_eq!(each_once(""), Ok(vec![]));
        for twice in ["code=a&code=a", "code=a&c%6fde=b", "a&a"] {
            assert_eq!(each_once(twice), Err("a parameter is there twice"), "{twice}");
        }
        let many = Vec::from_iter((0..65).map(|n| format!("p{n}=x"))).join("&");
        assert_eq!(each_once(&many), Err("there are more than 64 parameters"));
        assert_eq!(one(Some("to=%2Fa&b=c"), "to").as_deref(), Some("/a"));
        assert_eq!(one(Some("to=a&to=b"), "to"), None);
        assert_eq!(one(None, "to"), None);
    }
}
