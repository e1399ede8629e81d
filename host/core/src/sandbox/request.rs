//! The host functions that read the request, within the plugin's grants. Each attribute that is read is remembered with its
//! value.

use http::HeaderName;
use wasmtime::component::Resource;

use super::State;
use super::clock::Stop;
use crate::contract::RequestHandle;
use crate::contract::portcullis::auth::types;
use crate::decision::Answer;
use crate::decision::Asked;
use crate::decision::Question;
use crate::request::AuthRequest;

/// The most attributes that a call may read. Each one is remembered, which takes memory of the host.
const MAX_QUESTIONS: usize = 256;

/// The longest name of a header or cookie that is looked up, in bytes. Longer names appear absent and are not remembered.
const MAX_NAME: usize = 256;

type Handle = Resource<RequestHandle>;

impl types::Host for State {}

impl types::HostRequest for State {
    fn method(&mut self, _: Handle) -> wasmtime::Result<String> {
        self.text(Question::Method, |request| Some(request.method.as_str().to_owned()))
            .map(Option::unwrap_or_default)
    }

    fn scheme(&mut self, _: Handle) -> wasmtime::Result<String> {
        self.text(Question::Scheme, |request| Some(request.scheme.as_str().to_owned()))
            .map(Option::unwrap_or_default)
    }

    fn authority(&mut self, _: Handle) -> wasmtime::Result<Option<String>> {
        self.text(Question::Authority, |request| request.authority.clone())
    }

    fn path(&mut self, _: Handle) -> wasmtime::Result<String> {
        self.text(Question::Path, |request| Some(request.path.clone()))
            .map(Option::unwrap_or_default)
    }

    fn query(&mut self, _: Handle) -> wasmtime::Result<Option<String>> {
        let grants = std::sync::Arc::clone(&self.grants);
        self.text(Question::Query, |request| {
            grants.visible_query(request.query.as_deref()?)
        })
    }

    fn header(&mut self, _: Handle, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        // An invalid header name appears absent.
        let Some(name) = bounded(name).and_then(|name| HeaderName::try_from(name).ok()) else {
            return Ok(Vec::new());
        };
        let granted = self.grants.header(&name);
        self.answer(Question::Header(name.as_str().to_owned()), granted, |request| {
            request
                .headers
                .get_all(&name)
                .iter()
                .map(|value| value.as_bytes().to_vec())
                .collect()
        })
    }

    fn cookie(&mut self, _: Handle, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        let Some(name) = bounded(name) else {
            return Ok(Vec::new());
        };
        let granted = self.grants.cookie(&name);
        self.answer(Question::Cookie(name.clone()), granted, |request| {
            request.cookies(&name).map(<[u8]>::to_vec).collect()
        })
    }

    fn client_address(&mut self, _: Handle) -> wasmtime::Result<Option<String>> {
        self.text(Question::ClientAddress, |request| {
            request.client_address.map(|address| address.to_string())
        })
    }

    fn client_certificate(&mut self, _: Handle) -> wasmtime::Result<Option<Vec<u8>>> {
        let granted = self.grants.client_certificate;
        let answer = self.answer(Question::ClientCertificate, granted, |request| {
            request.client_certificate.iter().map(|der| der.to_vec()).collect()
        });
        Ok(answer?.pop())
    }

    fn drop(&mut self, _: Handle) -> wasmtime::Result<()> {
        Ok(())
    }
}

fn bounded(name: String) -> Option<String> {
    (name.len() <= MAX_NAME).then_some(name)
}

impl State {
    fn text(
        &mut self,
        question: Question,
        answer: impl FnOnce(&AuthRequest) -> Option<String>,
    ) -> wasmtime::Result<Option<String>> {
        let values = self.answer(question, true, |request| {
            answer(request).map(String::into_bytes).into_iter().collect()
        });
        Ok(values?.pop().and_then(|value| String::from_utf8(value).ok()))
    }

    fn answer(
        &mut self,
        question: Question,
        granted: bool,
        values: impl FnOnce(&AuthRequest) -> Vec<Vec<u8>>,
    ) -> wasmtime::Result<Vec<Vec<u8>>> {
        let values = match &self.request {
            Some(request) if granted => values(request),
            _ => Vec::new(),
        };
        self.remember(question, granted, Answer::new(values.clone()))?;
        Ok(values)
    }

    /// Remembers an attribute with its value, unless it was read before.
    pub(super) fn remember(&mut self, question: Question, granted: bool, answer: Answer) -> wasmtime::Result<()> {
        if !self.asked.iter().any(|asked| asked.question == question) {
            if self.asked.len() == MAX_QUESTIONS {
                return Err(Stop::Questions.into());
            }
            self.asked.push(Asked::new(question, granted, answer));
        }
        Ok(())
    }
}
