//! A command of the browser's protocol, by its name. Its replies are read as JSON, so that a
//! browser newer than the generated types is understood too.

use std::borrow::Cow;

use chromiumoxide::types::{Command, Method, MethodId};
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Clone, Serialize)]
pub struct Call {
    #[serde(skip)]
    name: &'static str,
    #[serde(flatten)]
    fields: Value,
}

impl Call {
    /// `Domain.method` with the fields of a JSON object.
    pub fn new(name: &'static str, fields: Value) -> Self {
        Self { name, fields }
    }
}

impl Method for Call {
    fn identifier(&self) -> MethodId {
        Cow::Borrowed(self.name)
    }
}

impl Command for Call {
    type Response = Value;
}
