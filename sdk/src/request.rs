//! Methods that read common credentials and parameters from a request. Each reads no more from the gateway than it
//! needs, since the gateway may reuse a decision for requests in which everything that was read is the same.

use crate::BasicCredentials;
use crate::NoCredentials;
use crate::Request;
use crate::Token;
use crate::credentials;

impl Request {
    /// Reads the user name and the password from `Authorization: Basic` (RFC 7617). The scheme is case-insensitive, and
    /// the encoding may be UTF-8 or Latin-1.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no credentials or they are malformed; [`NoCredentials::refuse`] turns it into a
    /// refusal.
    pub fn basic(&self) -> Result<BasicCredentials, NoCredentials> {
        credentials::basic(&self.header("authorization"))
    }

    /// Reads the token from `Authorization: Bearer` (RFC 6750, section 2.1). The scheme is case-insensitive.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no token or it is malformed; [`NoCredentials::refuse`] turns it into a refusal.
    pub fn bearer(&self) -> Result<Token, NoCredentials> {
        self.token(&["bearer"])
    }

    /// Reads the token from `Authorization` under any of these schemes. They are case-insensitive.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no token or it is malformed; [`NoCredentials::refuse`] turns it into a refusal.
    pub fn token(&self, schemes: &[&str]) -> Result<Token, NoCredentials> {
        credentials::token(&self.header("authorization"), schemes)
    }

    /// Reads the token from `Authorization: Negotiate` (RFC 4559, section 4.2) for
    /// [`negotiate::accept`](crate::negotiate::accept). The scheme is case-insensitive.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no token, it is not base64, or it is longer than 64 KiB; [`NoCredentials::refuse`]
    /// turns it into a refusal.
    pub fn negotiate(&self) -> Result<Vec<u8>, NoCredentials> {
        credentials::negotiate(&self.header("authorization"))
    }

    /// Whether the method is a safe one, which only reads (RFC 9110, section 9.2.1): `GET`, `HEAD`, `OPTIONS` or `TRACE`.
    pub fn is_safe(&self) -> bool {
        matches!(self.method().as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }

    /// Returns every value of a query parameter, decoded and in order. Bytes that are not UTF-8 become U+FFFD.
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
    fn every_value_of_a_query_parameter_is_decoded() {
        let request = RequestBuilder::get("/x").query("t=a%20b+c&u=1&t=%ff&%74=d&t").build();
        assert_eq!(request.query_parameter("t"), ["a b c", "\u{fffd}", "d", ""]);
        assert!(request.query_parameter("v").is_empty());
        assert!(RequestBuilder::get("/x").build().query_parameter("t").is_empty());
    }
}
