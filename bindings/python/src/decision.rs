//! `Decision`: who sent a request and whether it is permitted, and the answer to one that is refused.

use http::HeaderMap;
use portcullis::Admission;
use portcullis::Authenticated;
use portcullis::Outcome;
use portcullis::ResponseHeaders;
use portcullis::Role;
use portcullis::decision::Authorization;
use portcullis::decision::Permits;
use portcullis::decision::Refusal;
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
    /// Who sent the request, as the authenticators say.
    authentication: Outcome,
    /// What the authorizers say. `None` if none was asked.
    authorization: Option<Authorization>,
    /// Whether a page that is also for visitors serves the request.
    lacks_credentials: bool,
    steps: Vec<Step>,
    headers: ResponseHeaders,
    via_session: bool,
    adds_headers: bool,
}

impl Decision {
    /// `authorization` is what the authorizers say, `None` if none was asked. `may_visit` says whether an application may serve
    /// the request although it has no credentials.
    pub(crate) fn new(admission: Admission, authorization: Option<Authorization>, may_visit: bool) -> Self {
        let (via_session, set_cookie) = (admission.via_session, admission.set_cookie.is_some());
        let (decision, headers) = admission.into_parts();
        let (user, lacks_credentials) = match &decision.outcome {
            Outcome::Grant(user) => (Some(user), false),
            Outcome::Refuse(refusal) => (None, refusal.lacks_credentials()),
        };
        let adds_headers = set_cookie || user.is_some_and(|user| !user.response_headers().is_empty());
        let asked = decision.steps.iter().map(|step| Step::of(step, Role::Authenticator));
        let then = authorization.iter().flat_map(|authorization| &authorization.steps);
        let then = then.map(|step| Step::of(step, Role::Authorizer));
        Self {
            steps: asked.chain(then).collect(),
            authentication: decision.outcome,
            authorization,
            lacks_credentials: lacks_credentials && may_visit,
            headers,
            via_session,
            adds_headers,
        }
    }

    fn outcome(&self) -> Result<&Authenticated, &Refusal> {
        let authorization = self.authorization.as_ref();
        match (authorization.map(|said| &said.outcome), &self.authentication) {
            (Some(Err(refusal)), _) | (_, Outcome::Refuse(refusal)) => Err(refusal),
            (_, Outcome::Grant(user)) => Ok(user),
        }
    }
}

#[pymethods]
impl Decision {
    /// The user. `None` if the request is refused.
    #[getter]
    fn user(&self) -> Option<User> {
        self.outcome().ok().cloned().map(User)
    }

    /// The response for a client that is refused. `None` if the request may be served. `apply` adds what belongs to it.
    #[getter]
    fn refusal(&self) -> Option<Response> {
        let refusal = self.outcome().err()?;
        Some(Response(refusal.clone().into_response()))
    }

    /// What each authorizer permits, in their order. Empty if the request is refused, or if there are none.
    #[getter]
    fn permits(&self) -> Vec<Permit> {
        let permits = self.authorization.iter();
        let permits = permits.filter_map(|authorization| authorization.outcome.as_ref().ok());
        permits.flat_map(Permits::iter).cloned().map(Permit).collect()
    }

    /// Whether the request is refused because it has no credentials. A page that is also for visitors without a name serves
    /// such a request. If the chain has authorizers, this is true only if `decide` was called for visitors and they permit it.
    #[getter]
    fn lacks_credentials(&self) -> bool {
        self.lacks_credentials
    }

    /// One step for each authenticator that was asked, in order, and then one for each authorizer.
    #[getter]
    fn steps(&self) -> Vec<Step> {
        self.steps.clone()
    }

    /// The header fields of a response to this request: these, and what the authenticator adds, such as a token of Kerberos or
    /// the cookie of a session. Names and values are str of which each character is a byte.
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
        match self.outcome() {
            Ok(user) => format!("<Decision: user {:?}>", user.identity().name()),
            Err(refusal) => format!("<Decision: refused with {}>", refusal.status().as_u16()),
        }
    }

    /// What each plugin said, for the operator. It is not for the client.
    fn __str__(&self) -> String {
        let steps = Vec::from_iter(self.steps.iter().map(|step| step.text.as_str()));
        steps.join("\n")
    }
}

/// A user whom an authenticator identified.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct User(Authenticated);

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
    /// The status: 401, 403, 404, 429, 503, or that of a plugin's own response.
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

/// What an authorizer permits.
#[pyclass(frozen, module = "portcullis")]
pub(crate) struct Permit(portcullis::decision::Permit);

#[pymethods]
impl Permit {
    /// The name of the authorizer.
    #[getter]
    fn authorizer(&self) -> &str {
        self.0.authorizer()
    }

    /// Facts for the application, such as the user's role there: pairs of name and value. A name may be there several times.
    #[getter]
    fn attributes(&self) -> Vec<(String, String)> {
        let attributes = self.0.attributes();
        attributes
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// The value of the first attribute of this name. `None` if there is none.
    fn attribute(&self, name: &str) -> Option<&str> {
        self.0.attribute(name)
    }

    fn __repr__(&self) -> String {
        format!("<Permit of {:?}>", self.authorizer())
    }
}

/// One plugin's part in a decision, for the operator.
#[pyclass(frozen, get_all, module = "portcullis")]
#[derive(Clone)]
pub(crate) struct Step {
    /// Its name.
    name: String,
    /// "authenticator" or "authorizer".
    role: &'static str,
    /// "grant", "pass" or "reject" of an authenticator, "permit" or "hide" of an authorizer, or of either "forbid", "respond",
    /// "unavailable", "fail" or "turned_away".
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

impl Step {
    fn of(step: &portcullis::decision::Step, role: Role) -> Self {
        Self {
            name: step.name.to_string(),
            role: role.label(),
            verdict: step.verdict.label(),
            reason: step.verdict.reason().map(str::to_owned),
            text: format!("{} {}", step.name, step.verdict),
            reads: step.reads.iter().map(|read| read.attribute.to_string()).collect(),
            seconds: step.elapsed.as_secs_f64(),
            reused: step.reused.is_some(),
        }
    }
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
