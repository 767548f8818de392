//! Replies, mainly the bodies of refusals.
//!
//! HubSpot reports the same failure in two forms: as the body of a whole reply, and as one item in
//! the `errors` of a 207. [`Refusal`] is the failure, and only this module builds the two forms.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::kinds::Kind;

/// The body of a reply.
#[derive(Debug)]
pub(crate) enum Payload {
    Json(Value),
    Html(String),
    Empty,
    /// No body: the connection is cut.
    Cut,
    /// No answer at all.
    Hang,
}

/// The answer to a call.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) payload: Payload,
}

/// One property value that cannot be stored.
#[derive(Debug, Clone)]
pub(crate) struct PropertyFault {
    pub(crate) name: String,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// Why a call or an input of a batch is refused.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// One or more property values are invalid.
    Properties(Vec<PropertyFault>),
    /// Anything else.
    Other(Box<ErrorBody>),
}

/// The body of an error, without the members that only a whole reply has.
#[derive(Debug, Clone, Default)]
pub(crate) struct ErrorBody {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) category: Option<&'static str>,
    pub(crate) sub_category: Option<&'static str>,
    pub(crate) context: Map<String, Value>,
    /// Further top-level keys, such as `errors`, `links` or `policyName`.
    pub(crate) more: Map<String, Value>,
}

/// The result of a call.
pub(crate) type Answer = Result<Reply, Refusal>;

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), payload: Payload::Json(body) }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), payload: Payload::Empty }
    }

    /// Returns an HTML page from a gateway in front of the service.
    pub(crate) fn gateway(status: u16) -> Self {
        let reason = match status {
            524 => "Origin Time-out",
            _ => StatusCode::from_u16(status)
                .ok()
                .and_then(|s| s.canonical_reason())
                .unwrap_or("Error"),
        };
        let page = format!(
            "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n\
             <center><h1>{status} {reason}</h1></center>\r\n</body>\r\n</html>\r\n"
        );
        Self { status, headers: Vec::new(), payload: Payload::Html(page) }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let body = match refusal {
            Refusal::Other(body) => *body,
            Refusal::Properties(faults) => property_body(&faults),
        };
        let mut json = Map::new();
        json.insert("status".into(), "error".into());
        json.insert("message".into(), body.message.into());
        json.insert("correlationId".into(), Uuid::new_v4().to_string().into());
        // Only items of a 207 name the existing record outside the text.
        let mut context = body.context;
        context.remove("existingId");
        if !context.is_empty() {
            json.insert("context".into(), context.into());
        }
        json.extend(body.more);
        if let Some(category) = body.category {
            json.insert("category".into(), category.into());
        }
        if let Some(sub) = body.sub_category {
            json.insert("subCategory".into(), sub.into());
        }
        Self::json(body.status, json.into())
    }
}

impl Refusal {
    /// A refusal without a category.
    pub(crate) fn plain(status: u16, message: impl Into<String>) -> Self {
        let body = ErrorBody { status, message: message.into(), ..ErrorBody::default() };
        Self::Other(Box::new(body))
    }

    /// A 400 of category `VALIDATION_ERROR`.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::plain(400, message).category("VALIDATION_ERROR")
    }

    /// The path does not exist.
    pub(crate) fn not_found() -> Self {
        Self::plain(404, "resource not found")
    }

    /// The records of a batch that do not exist. One refusal covers all of them.
    pub(crate) fn missing_objects(kind: Kind, ids: &[String]) -> Self {
        let upper = kind.singular().to_uppercase();
        Self::plain(
            404,
            format!(
                "Could not get some {upper} objects, they may be deleted or not exist. \
                 Check that ids are valid."
            ),
        )
        .category("OBJECT_NOT_FOUND")
        .context("ids", ids)
    }

    /// The batch names an id twice, or two ids of one record.
    pub(crate) fn duplicate_ids(ids: &[String]) -> Self {
        let list = ids.join(", ");
        Self::validation(format!(
            "Duplicate IDs found in batch input: [{list}]. IDs must be unique"
        ))
        .context("ids", ids)
    }

    pub(crate) fn category(mut self, category: &'static str) -> Self {
        if let Self::Other(body) = &mut self {
            body.category = Some(category);
        }
        self
    }

    pub(crate) fn sub_category(mut self, sub: &'static str) -> Self {
        if let Self::Other(body) = &mut self {
            body.sub_category = Some(sub);
        }
        self
    }

    /// Context values are always lists of strings.
    pub(crate) fn context<S: ToString>(mut self, key: &str, values: &[S]) -> Self {
        if let Self::Other(body) = &mut self {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            body.context.insert(key.into(), values.into());
        }
        self
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Self::Other(body) = &mut self {
            body.more.insert(key.into(), value.into());
        }
        self
    }

    /// Returns the refusal as an item in the `errors` of a 207.
    pub(crate) fn item(self, trace_id: Option<&str>, portal_id: u64) -> Value {
        let mut context = Map::new();
        if let Some(trace_id) = trace_id {
            context.insert("objectWriteTraceId".into(), json!([trace_id]));
        }
        let (category, sub_category, message) = match self {
            Self::Properties(faults) => {
                (Some("VALIDATION_ERROR"), None, fault_text(&faults, Some(portal_id)))
            }
            Self::Other(body) => {
                context.extend(body.context);
                (body.category, body.sub_category, body.message)
            }
        };
        let mut item = json!({"status": "error", "message": message});
        if let Some(category) = category {
            item["category"] = category.into();
        }
        if let Some(sub) = sub_category {
            item["subCategory"] = sub.into();
        }
        if !context.is_empty() {
            item["context"] = context.into();
        }
        item
    }

    /// Returns the single refusal of a batch that is refused for its inputs: all bad values
    /// together, or else the first failure.
    pub(crate) fn of_batch(refusals: Vec<Self>) -> Option<Self> {
        let mut faults = Vec::new();
        for refusal in &refusals {
            if let Self::Properties(more) = refusal {
                faults.extend(more.iter().cloned());
            }
        }
        if faults.is_empty() { refusals.into_iter().next() } else { Some(Self::Properties(faults)) }
    }
}

fn property_body(faults: &[PropertyFault]) -> ErrorBody {
    let mut more = Map::new();
    // A bad address is named only in the text.
    if faults.iter().any(|f| f.code != "INVALID_EMAIL") {
        let listed = faults.iter().map(|f| {
            json!({"message": f.message, "code": f.code, "context": {"propertyName": [f.name]}})
        });
        more.insert("errors".into(), listed.collect());
    }
    ErrorBody {
        status: 400,
        message: fault_text(faults, None),
        category: Some("VALIDATION_ERROR"),
        more,
        ..ErrorBody::default()
    }
}

/// Returns the faults as JSON inside a sentence. Items of a 207 have two more keys.
fn fault_text(faults: &[PropertyFault], portal_id: Option<u64>) -> String {
    let listed: Vec<Value> = faults
        .iter()
        .map(|f| {
            let mut entry =
                json!({"isValid": false, "message": f.message, "error": f.code, "name": f.name});
            if let Some(portal_id) = portal_id {
                entry["localizedErrorMessage"] = f.message.clone().into();
                entry["portalId"] = portal_id.into();
            }
            entry
        })
        .collect();
    format!("Property values were not valid: {}", Value::from(listed))
}
