//! The authenticators that come with Portcullis.
