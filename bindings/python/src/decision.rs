//! `Decision`: whether a request is authenticated, and the answer to one that isn't.

use http::HeaderMap;
use portcullis::Admission;
use portcullis::Outcome;
use portcullis::ResponseHeaders;
use pyo3::Bound;
use pyo3::PyAny;
use pyo3::PyResult;
use pyo3::Python;
use pyo3::pyclass;
use pyo3::pymethods;
use pyo3::types::PyBytes;

use crate::request::read_headers;

/// The decision about one request. Either `user` or `refusal` is `None`.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Decision {
    decision: portcullis::Decision,
    headers: ResponseHeaders,
    via_session: bool,
    adds_headers: bool,
}

impl Decision {
    pub(crate) fn new(admission: Admission) -> Self {
        let (via_session, set_cookie) = (admission.via_session, admission.set_cookie.is_some());
        let (decision, headers) = admission.into_parts();
        let user = decision.outcome.user();
        let adds_headers = set_cookie || user.is_some_and(|user| !user.response_headers().is_empty());
        Self {
            decision,
            headers,
            via_session,
            adds_headers,
        }
    }
}

#[pymethods]
impl Decision {
    /// The user. `None` if the request is refused.
    #[getter]
    fn user(&self) -> Option<User> {
        self.decision.outcome.user().cloned().map(User)
    }

    /// The response for a client that is refused. `None` if the request is authenticated.
    #[getter]
    fn refusal(&self) -> Option<Response> {
        match &self.decision.outcome {
            Outcome::Grant(_) => None,
            Outcome::Refuse(refusal) => Some(Response(refusal.clone().into_response())),
        }
    }

    /// Whether the request is refused because it has no credentials. A page that is also for visitors without a name serves
    /// such a request.
    #[getter]
    fn lacks_credentials(&self) -> bool {
        match &self.decision.outcome {
            Outcome::Grant(_) => false,
            Outcome::Refuse(refusal) => refusal.lacks_credentials(),
        }
    }

    /// One step for each authenticator that was asked, in order.
    #[getter]
    fn steps(&self) -> Vec<Step> {
        let steps = self.decision.steps.iter();
        steps
            .map(|step| Step {
                authenticator: step.name.to_string(),
                verdict: step.verdict.label(),
                reason: step.verdict.reason().map(str::to_owned),
                text: format!("{} {}", step.name, step.verdict),
                reads: step.reads.iter().map(|read| read.attribute.to_string()).collect(),
                seconds: step.elapsed.as_secs_f64(),
                reused: step.reused.is_some(),
            })
            .collect()
    }

    /// The header fields of a response to this request: these, and what the authenticator adds, such as a token of Kerberos or the cookie of a session.
    /// Names and values are str of which each character is a byte.
    fn apply(&self, headers: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
        let mut fields = read_headers(headers)?;
        self.headers.clone().apply(&mut fields);
        Ok(pairs(&fields))
    }

    /// Whether `apply` adds anything.
    #[getter]
    fn adds_headers(&self) -> bool {
        self.adds_headers
    }

    /// Whether a session identified the user, so that no authenticator was asked.
    #[getter]
    fn via_session(&self) -> bool {
        self.via_session
    }

    fn __repr__(&self) -> String {
        match &self.decision.outcome {
            Outcome::Grant(user) => format!("<Decision: user {:?}>", user.identity().name()),
            Outcome::Refuse(refusal) => format!("<Decision: refused with {}>", refusal.status().as_u16()),
        }
    }

    /// What each authenticator said, for the operator. It is not for the client.
    fn __str__(&self) -> String {
        let steps = Vec::from_iter(self.steps().into_iter().map(|step| step.text));
        steps.join("\n")
    }
}

/// A user whom an authenticator identified.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct User(portcullis::Authenticated);

#[pymethods]
impl User {
    /// The name.
    #[getter]
    fn name(&self) -> &str {
        self.0.identity().name()
    }

    /// The groups, in the authenticator's order.
    #[getter]
    fn groups(&self) -> Vec<String> {
        self.0.identity().groups().to_vec()
    }

    /// Whether the authenticator says that the user is an administrator.
    #[getter]
    fn admin(&self) -> bool {
        self.0.identity().admin()
    }

    /// Pairs of name and value, such as an e-mail address. A name may be there several times.
    #[getter]
    fn attributes(&self) -> Vec<(String, String)> {
        let attributes = self.0.identity().attributes();
        attributes
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// The value of the first attribute of this name. `None` if there is none.
    fn attribute(&self, name: &str) -> Option<&str> {
        self.0.identity().attribute(name)
    }

    /// Always true: frameworks such as Starlette ask for it.
    #[getter]
    fn is_authenticated(&self) -> bool {
        true
    }

    /// The name, for frameworks that ask for it so.
    #[getter]
    fn display_name(&self) -> &str {
        self.name()
    }

    /// The name of the authenticator that identified the user.
    #[getter]
    fn authenticator(&self) -> &str {
        self.0.authenticator()
    }

    /// For how many seconds the plugin says that this holds, counted from the decision. `None` if it doesn't say.
    #[getter]
    fn valid_for(&self) -> Option<f64> {
        self.0.valid_for().map(|valid_for| valid_for.as_secs_f64())
    }

    fn __repr__(&self) -> String {
        format!("<User {:?} of {:?}>", self.name(), self.authenticator())
    }
}

/// The response for a client that is refused.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Response(http::Response<bytes::Bytes>);

#[pymethods]
impl Response {
    /// The status: 401, 403, 429, 503, or that of a plugin's own response.
    #[getter]
    fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    /// The reason phrase of the status, such as "Unauthorized".
    #[getter]
    fn reason(&self) -> &str {
        self.0.status().canonical_reason().unwrap_or("Unknown")
    }

    /// Pairs of name and value, with one WWW-Authenticate for each challenge. In a str each character is a byte.
    #[getter]
    fn headers(&self) -> Vec<(String, String)> {
        pairs(self.0.headers())
    }

    /// The body: JSON that says no more than the status, or what a plugin wrote.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.body())
    }

    fn __repr__(&self) -> String {
        format!("<Response {}>", self.status())
    }
}

/// One authenticator's part in a decision, for the operator.
#[pyclass(frozen, get_all, module = "portcullis")]
pub(crate) struct Step {
    /// Its name.
    authenticator: String,
    /// "grant", "pass", "reject", "forbid", "respond", "unavailable", "fail" or "turned_away".
    verdict: &'static str,
    /// Why. `None` if there is nothing to say.
    reason: Option<String>,
    /// What it read of the request, such as "header authorization". Values are not kept.
    reads: Vec<String>,
    /// How long it took.
    seconds: f64,
    /// Whether this is the result of an earlier call.
    reused: bool,
    /// The step as a sentence.
    text: String,
}

#[pymethods]
impl Step {
    fn __repr__(&self) -> String {
        format!("<Step {}>", self.text)
    }

    fn __str__(&self) -> &str {
        &self.text
    }
}

/// Header fields as Python's servers have them: in a str each character is a byte (PEP 3333).
pub(crate) fn pairs(fields: &HeaderMap) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect();
    let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| (name.to_string(), text(value.as_bytes()));
    fields.iter().map(pair).collect()
}
