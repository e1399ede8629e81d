//! W3C Trace Context: the headers `traceparent` and `tracestate`, of requests that come and of those that go on.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use opentelemetry::Context;
use opentelemetry::propagation::Extractor;
use opentelemetry::propagation::Injector;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::SpanContext;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";

/// The context that a request brings. `None` if it has none, or one that is not valid: then a trace begins here (section 4.2).
pub(super) fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parents = headers.get_all(PARENT).iter();
    let (parent, None) = (parents.next()?.to_str().ok()?, parents.next()) else {
        return None;
    };
    // Several headers are one list (section 3.3.1).
    let states = headers.get_all(STATE).iter().filter_map(|state| state.to_str().ok());
    let state = Vec::from_iter(states).join(",");
    let found = TraceContextPropagator::new().extract_with_context(&Context::new(), &Fields { parent, state: &state });
    let context = found.span().span_context().clone();
    context.is_valid().then_some(context)
}

/// Replaces the context of a request.
pub(super) fn inject(context: &SpanContext, headers: &mut HeaderMap) {
    headers.remove(STATE);
    let context = Context::new().with_remote_span_context(context.clone());
    TraceContextPropagator::new().inject_context(&context, &mut Written(headers));
}

struct Fields<'a> {
    parent: &'a str,
    state: &'a str,
}

impl Extractor for Fields<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            PARENT => Some(self.parent),
            STATE => Some(self.state).filter(|state| !state.is_empty()),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![PARENT, STATE]
    }
}

struct Written<'a>(&'a mut HeaderMap);

impl Injector for Written<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::from_bytes(key.as_bytes()).ok();
        let value = HeaderValue::try_from(value).ok().filter(|value| !value.is_empty());
        if let Some((name, value)) = name.zip(value) {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_context_comes_and_goes_on() {
        let came = headers(&[(PARENT, VALID), (STATE, "a=1"), (STATE, "b=2")]);
        let context = extract(&came).unwrap();
        assert!(context.is_remote() && context.is_sampled());
        let mut goes = headers(&[(PARENT, "x"), (STATE, "x=y")]);
        inject(&context, &mut goes);
        assert_eq!(
            (&goes[PARENT], &goes[STATE]),
            (&came[PARENT], &"a=1,b=2".parse().unwrap())
        );
    }

    #[test]
    fn a_state_of_another_trace_does_not_go_on() {
        let mut goes = headers(&[(STATE, "x=y")]);
        inject(&extract(&headers(&[(PARENT, VALID)])).unwrap(), &mut goes);
        assert!(!goes.contains_key(STATE));
    }

    #[test]
    fn what_is_not_valid_is_no_context() {
        for lines in [
            &[][..],
            &[(PARENT, "")],
            &[(PARENT, "00")],
            &[(PARENT, "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")],
            &[(PARENT, "00-00000000000000000000000000000000-00f067aa0ba902b7-01")],
            &[(PARENT, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01")],
            &[(PARENT, "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01")],
            &[(PARENT, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x")],
            &[(PARENT, VALID), (PARENT, VALID)],
        ] {
            assert_eq!(extract(&headers(lines)), None, "{lines:?}");
        }
        let broken = extract(&headers(&[(PARENT, VALID), (STATE, "no state")])).unwrap();
        assert_eq!(broken.trace_state().header(), "");
    }
}
