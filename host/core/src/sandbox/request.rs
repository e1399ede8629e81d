//! The host functions that read the request, within the plugin's grants. Each attribute that is read is remembered with
//! its value.

use http::HeaderName;
use wasmtime::component::Resource;

use super::HostState;
use super::clock::Stop;
use crate::contract::RequestHandle;
use crate::contract::portcullis::auth::types;
use crate::decision::Attribute;
use crate::decision::AttributeRead;
use crate::decision::AttributeValue;
use crate::request::AuthRequest;

/// The most attributes that a call may read. Each one is remembered, which takes memory of the host.
const MAX_READS: usize = 256;

/// The longest name of a header or cookie that is looked up, in bytes. Longer names appear absent and are not
/// remembered.
const MAX_NAME: usize = 256;

type Handle = Resource<RequestHandle>;

impl types::Host for HostState {}

impl types::HostRequest for HostState {
    fn method(&mut self, _: Handle) -> wasmtime::Result<String> {
        self.text(Attribute::Method, |request| Some(request.method.as_str().to_owned()))
            .map(Option::unwrap_or_default)
    }

    fn scheme(&mut self, _: Handle) -> wasmtime::Result<String> {
        self.text(Attribute::Scheme, |request| Some(request.scheme.as_str().to_owned()))
            .map(Option::unwrap_or_default)
    }

    fn authority(&mut self, _: Handle) -> wasmtime::Result<Option<String>> {
        self.text(Attribute::Authority, |request| request.authority.clone())
    }

    fn path(&mut self, _: Handle) -> wasmtime::Result<String> {
        self.text(Attribute::Path, |request| Some(request.path.clone()))
            .map(Option::unwrap_or_default)
    }

    fn query(&mut self, _: Handle) -> wasmtime::Result<Option<String>> {
        let grants = std::sync::Arc::clone(&self.grants);
        self.text(Attribute::Query, |request| {
            grants.visible_query(request.query.as_deref()?)
        })
    }

    fn header(&mut self, _: Handle, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        // An invalid header name appears absent.
        let Some(name) = bounded(name).and_then(|name| HeaderName::try_from(name).ok()) else {
            return Ok(Vec::new());
        };
        let granted = self.grants.header(&name);
        self.read(Attribute::Header(name.as_str().to_owned()), granted, |request| {
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
        self.read(Attribute::Cookie(name.clone()), granted, |request| {
            request.cookies(&name).map(<[u8]>::to_vec).collect()
        })
    }

    fn client_address(&mut self, _: Handle) -> wasmtime::Result<Option<String>> {
        self.text(Attribute::ClientAddress, |request| {
            request.client_address.map(|address| address.to_string())
        })
    }

    fn client_certificate(&mut self, _: Handle) -> wasmtime::Result<Option<Vec<u8>>> {
        let granted = self.grants.client_certificate;
        let certificates = self.read(Attribute::ClientCertificate, granted, |request| {
            request.client_certificate.iter().map(|der| der.to_vec()).collect()
        });
        Ok(certificates?.pop())
    }

    fn drop(&mut self, _: Handle) -> wasmtime::Result<()> {
        Ok(())
    }
}

fn bounded(name: String) -> Option<String> {
    (name.len() <= MAX_NAME).then_some(name)
}

impl HostState {
    fn text(
        &mut self,
        attribute: Attribute,
        value: impl FnOnce(&AuthRequest) -> Option<String>,
    ) -> wasmtime::Result<Option<String>> {
        let values = self.read(attribute, true, |request| {
            value(request).map(String::into_bytes).into_iter().collect()
        });
        Ok(values?.pop().and_then(|value| String::from_utf8(value).ok()))
    }

    fn read(
        &mut self,
        attribute: Attribute,
        granted: bool,
        values: impl FnOnce(&AuthRequest) -> Vec<Vec<u8>>,
    ) -> wasmtime::Result<Vec<Vec<u8>>> {
        let values = match &self.request {
            Some(request) if granted => values(request),
            _ => Vec::new(),
        };
        self.remember(attribute, granted, AttributeValue::new(values.clone()))?;
        Ok(values)
    }

    /// Remembers an attribute with its value, unless it was read before.
    pub(super) fn remember(
        &mut self,
        attribute: Attribute,
        granted: bool,
        value: AttributeValue,
    ) -> wasmtime::Result<()> {
        if !self.reads.iter().any(|read| read.attribute == attribute) {
            if self.reads.len() == MAX_READS {
                return Err(Stop::TooManyReads.into());
            }
            self.reads.push(AttributeRead::new(attribute, granted, value));
        }
        Ok(())
    }
}
