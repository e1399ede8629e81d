//! `Request`: what a server received, for authenticators to ask about.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::header;
use http::uri::Scheme;
use portcullis::AuthRequest;
use pyo3::Bound;
use pyo3::PyAny;
use pyo3::PyErr;
use pyo3::PyResult;
use pyo3::pyclass;
use pyo3::pymethods;
use pyo3::types::PyAnyMethods;
use pyo3::types::PyBytes;
use pyo3::types::PyBytesMethods;
use pyo3::types::PyDict;
use pyo3::types::PyDictMethods;

use crate::errors::RequestError;

/// One HTTP request, without its body. Raises `RequestError` for parts that no HTTP request can have.
///
/// method, path, query: as the client sent them, with percent-encoding. The query has no question mark.
/// scheme: "http" or "https", as the client used it. It comes from the server or a trusted proxy, never from the client.
/// authority: host and port of the target. Default: the Host header.
/// headers: pairs of name and value, or a dict. A value is bytes, or a str of which each character is a byte (Latin-1).
/// client_address: the address of the client, behind a trusted proxy the one that the proxy reports.
/// client_certificate: the client's certificate in DER, verified by the server.
/// channel_binding: `tls-server-end-point:` and a hash of the server's certificate (RFC 5929, section 4).
/// id: the request's id in log lines.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Request(pub(crate) Arc<AuthRequest>);

/// How long the parts of a request may be together, in bytes. Servers have far lower bounds.
const MAX_SIZE: usize = 4 << 20;

/// How many header fields a request may have.
const MAX_FIELDS: usize = 1000;

#[pymethods]
impl Request {
    #[new]
    #[pyo3(signature = (
        method, path, *, query=None, scheme="http", authority=None, headers=None, client_address=None,
        client_certificate=None, channel_binding=None, id=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "all but two are keywords in Python")]
    fn new(
        method: &str,
        path: &str,
        query: Option<&str>,
        scheme: &str,
        authority: Option<&str>,
        headers: Option<&Bound<'_, PyAny>>,
        client_address: Option<&str>,
        client_certificate: Option<&[u8]>,
        channel_binding: Option<&[u8]>,
        id: Option<&str>,
    ) -> PyResult<Self> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| wrong("the method is not a token"))?;
        let scheme = match scheme {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            _ => return Err(wrong("the scheme is neither \"http\" nor \"https\"")),
        };
        if path.is_empty() {
            return Err(wrong("the path is empty"));
        }
        let headers = headers.map(read_headers).transpose()?.unwrap_or_default();
        let host = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = authority.or_else(host).map(str::to_owned);
        for (part, text) in [
            ("path", Some(path)),
            ("query", query),
            ("authority", authority.as_deref()),
            ("id", id),
        ] {
            printable(part, text.unwrap_or_default())?;
        }
        let client_address = client_address.map(address).transpose()?;
        Ok(Self(Arc::new(AuthRequest {
            method,
            scheme,
            authority,
            path: path.to_owned(),
            query: query.map(str::to_owned),
            headers,
            client_address,
            client_certificate: client_certificate.map(Bytes::copy_from_slice),
            channel_binding: channel_binding.map(Bytes::copy_from_slice),
            route: None,
            id: id.map(str::to_owned),
        })))
    }

    /// The method.
    #[getter]
    fn method(&self) -> &str {
        self.0.method.as_str()
    }

    /// The path.
    #[getter]
    fn path(&self) -> &str {
        &self.0.path
    }

    /// Omits headers and query, because they carry credentials.
    fn __repr__(&self) -> String {
        format!("<Request {} {}>", self.0.method, self.0.path)
    }
}

fn wrong(message: impl Into<String>) -> PyErr {
    RequestError::new_err(message.into())
}

/// Accepts what may stand in the target of a request: bytes that are visible in ASCII (RFC 9112, section 3.2).
fn printable(part: &str, text: &str) -> PyResult<()> {
    if text.len() > MAX_SIZE {
        return Err(wrong(format!("the {part} has more than {MAX_SIZE} bytes")));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(format!(
            "the {part} has a blank, a control character or one outside of ASCII; such are percent-encoded in a request"
        )));
    }
    Ok(())
}

/// Reads an address. The zone of one that is link-local (`%eth0`) says nothing of the client.
fn address(text: &str) -> PyResult<IpAddr> {
    let bare = text.split('%').next().unwrap_or(text);
    bare.parse()
        .map_err(|_| wrong("the client's address is not an IP address"))
}

/// Reads header fields: pairs, or a dict.
pub(crate) fn read_headers(headers: &Bound<'_, PyAny>) -> PyResult<HeaderMap> {
    let pairs = match headers.cast::<PyDict>() {
        Ok(entries) => entries.items().into_any(),
        Err(_) => headers.clone(),
    };
    let mut fields = HeaderMap::new();
    let mut size = 0;
    for (index, pair) in pairs.try_iter()?.enumerate() {
        let (name, value) = pair?.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
        let (name, value) = (octets(&name)?, octets(&value)?);
        size += name.len() + value.len();
        if index >= MAX_FIELDS || size > MAX_SIZE {
            return Err(wrong(format!(
                "the header has more than {MAX_FIELDS} fields or {MAX_SIZE} bytes"
            )));
        }
        let name = HeaderName::from_bytes(&name).map_err(|_| wrong("the name of a header field is not a token"))?;
        let value = HeaderValue::from_bytes(&value)
            .map_err(|_| wrong(format!("the header field {name} has a control character")))?;
        let appended = fields.try_append(name, value);
        appended.map_err(|_| wrong("the header has too many fields"))?;
    }
    Ok(fields)
}

/// The bytes of a name or value: of a str, each character is one (PEP 3333).
fn octets(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_owned());
    }
    let text = value.extract::<String>().map_err(|error| {
        if value.is_instance_of::<pyo3::types::PyString>() {
            wrong("a header field has characters that are no bytes")
        } else {
            error
        }
    })?;
    text.chars()
        .map(|character| u8::try_from(u32::from(character)).ok())
        .collect::<Option<_>>()
        .ok_or_else(|| wrong("a header field has characters that are no bytes"))
}
