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
use crate::question;

/// The most attributes that a call may read. Each one is remembered, which takes memory of the host.
const MAX_READS: usize = 256;

/// The longest name of a header or cookie that is looked up, in bytes. Longer names appear absent and are not
/// remembered.
const MAX_NAME: usize = 256;

type Handle = Resource<RequestHandle>;

impl types::Host for HostState {}

impl types::HostRequest for HostState {
    fn method(&mut self, _: Handle) -> wasmtime::Result<String> {
        self.text(Attribute::Method).map(Option::unwrap_or_default)
    }

    fn scheme(&mut self, _: Handle) -> wasmtime::Result<String> {
        self.text(Attribute::Scheme).map(Option::unwrap_or_default)
    }

    fn authority(&mut self, _: Handle) -> wasmtime::Result<Option<String>> {
        self.text(Attribute::Authority)
    }

    fn path(&mut self, _: Handle) -> wasmtime::Result<String> {
        self.text(Attribute::Path).map(Option::unwrap_or_default)
    }

    fn query(&mut self, _: Handle) -> wasmtime::Result<Option<String>> {
        self.text(Attribute::Query)
    }

    fn header(&mut self, _: Handle, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        // An invalid header name appears absent.
        match bounded(name).and_then(|name| HeaderName::try_from(name).ok()) {
            Some(name) => self.read(Attribute::Header(name.as_str().to_owned())),
            None => Ok(Vec::new()),
        }
    }

    fn cookie(&mut self, _: Handle, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        match bounded(name) {
            Some(name) => self.read(Attribute::Cookie(name)),
            None => Ok(Vec::new()),
        }
    }

    fn client_address(&mut self, _: Handle) -> wasmtime::Result<Option<String>> {
        self.text(Attribute::ClientAddress)
    }

    fn client_certificate(&mut self, _: Handle) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.read(Attribute::ClientCertificate)?.pop())
    }

    fn route(&mut self, _: Handle) -> wasmtime::Result<Option<String>> {
        self.text(Attribute::Route)
    }

    fn drop(&mut self, _: Handle) -> wasmtime::Result<()> {
        Ok(())
    }
}

fn bounded(name: String) -> Option<String> {
    (name.len() <= MAX_NAME).then_some(name)
}

impl HostState {
    fn text(&mut self, attribute: Attribute) -> wasmtime::Result<Option<String>> {
        let value = self.read(attribute)?.pop();
        Ok(value.and_then(|value| String::from_utf8(value).ok()))
    }

    fn read(&mut self, attribute: Attribute) -> wasmtime::Result<Vec<Vec<u8>>> {
        let granted = question::is_granted(&attribute, &self.grants);
        let mut values = Vec::new();
        if let Some(request) = self.request.as_ref().filter(|_| granted) {
            question::answer(&attribute, request, &self.grants, |value| values.push(value.to_vec()));
        }
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
