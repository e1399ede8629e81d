//! Questions that are asked of a request so often that they have a name of their own. Each asks the gateway for no more
//! than it needs, since a decision is reused for every request that answers the same questions alike.

use crate::BasicCredentials;
use crate::NoCredentials;
use crate::Request;
use crate::Token;
use crate::credentials;

impl Request {
    /// User name and password from `Authorization: Basic` (RFC 7617), the scheme in any case. They may be encoded in
    /// UTF-8 or Latin-1.
    ///
    /// # Errors
    ///
    /// When there are none or they can't be read; [`NoCredentials::refuse`] makes a refusal of it.
    pub fn basic(&self) -> Result<BasicCredentials, NoCredentials> {
        credentials::basic(&self.header("authorization"))
    }

    /// The token from `Authorization: Bearer` (RFC 6750, section 2.1), the scheme in any case.
    ///
    /// # Errors
    ///
    /// When there is none or it can't be a token; [`NoCredentials::refuse`] makes a refusal of it.
    pub fn bearer(&self) -> Result<Token, NoCredentials> {
        self.token(&["bearer"])
    }

    /// The token from `Authorization`, under any of these schemes in any case.
    ///
    /// # Errors
    ///
    /// When there is none or it can't be a token; [`NoCredentials::refuse`] makes a refusal of it.
    pub fn token(&self, schemes: &[&str]) -> Result<Token, NoCredentials> {
        credentials::token(&self.header("authorization"), schemes)
    }

    /// The token from `Authorization: Negotiate` (RFC 4559, section 4.2), the scheme in any case, for
    /// [`negotiate::accept`](crate::negotiate::accept).
    ///
    /// # Errors
    ///
    /// When there is none, it is no base64, or it is longer than 64 KiB; [`NoCredentials::refuse`] makes a refusal of it.
    pub fn negotiate(&self) -> Result<Vec<u8>, NoCredentials> {
        credentials::negotiate(&self.header("authorization"))
    }

    /// Every value of one parameter of the query, decoded, in order. Bytes that are not UTF-8 become U+FFFD.
    pub fn query_parameter(&self, name: &str) -> Vec<String> {
        let query = self.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes())
            .filter(|(given, _)| given == name)
            .map(|(_, value)| value.into())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::RequestBuilder;

    #[test]
    fn query_parameters_are_decoded_and_all_given() {
        let request = RequestBuilder::get("/x").query("t=a%20b+c&u=1&t=%ff&%74=d&t").build();
        assert_eq!(request.query_parameter("t"), ["a b c", "\u{fffd}", "d", ""]);
        assert!(request.query_parameter("v").is_empty());
        assert!(RequestBuilder::get("/x").build().query_parameter("t").is_empty());
    }
}
