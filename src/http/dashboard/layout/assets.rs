//! The dashboard's files, compiled in: style, scripts, icon.
//!
//! Their addresses contain a digest of the content, so browsers can cache them permanently.

use std::sync::OnceLock;

use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::http::dashboard::layout::failure::Failure;

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

const ASSETS: [Asset; 6] = [
    Asset {
        name: "hubferry.css",
        kind: "text/css; charset=utf-8",
        content: include_str!("../../../../assets/hubferry.css"),
    },
    Asset {
        name: "hubferry.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("../../../../assets/hubferry.js"),
    },
    Asset {
        name: "htmx.min.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("../../../../assets/htmx.min.js"),
    },
    Asset {
        name: "htmx-sse.min.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("../../../../assets/htmx-sse.min.js"),
    },
    Asset {
        name: "icon.svg",
        kind: "image/svg+xml",
        content: include_str!("../../../../assets/icon.svg"),
    },
    Asset {
        name: "NOTICE",
        kind: "text/plain; charset=utf-8",
        content: include_str!("../../../../assets/NOTICE"),
    },
];

/// The cache header for permanent caching, with the longest usual time.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// A file without the digest in its address is requested again each time.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// The digests, in the order of [`ASSETS`].
fn digests() -> &'static [String] {
    static DIGESTS: OnceLock<Vec<String>> = OnceLock::new();
    DIGESTS.get_or_init(|| {
        let digest = |asset: &Asset| {
            let sum = Sha256::digest(asset.content.as_bytes());
            sum.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
        };
        ASSETS.iter().map(digest).collect()
    })
}

/// Returns the address of a file, with its digest.
pub(in crate::http::dashboard) fn address(name: &str) -> String {
    let digest = ASSETS.iter().position(|asset| asset.name == name).map(|i| &digests()[i]);
    format!("/admin/assets/{name}?v={}", digest.map_or("", String::as_str))
}

/// `GET /admin/assets/{name}`.
pub(in crate::http::dashboard) async fn show(
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let found = ASSETS.iter().zip(digests()).find(|(asset, _)| asset.name == name);
    let (asset, digest) = found.ok_or_else(|| Failure::unknown("There is no such file."))?;
    let tag = format!("\"{digest}\"");
    let current = query.is_some_and(|q| q == format!("v={digest}"));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|v| v.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, asset.kind)], asset.content).into_response()
    };
    let fields = response.headers_mut();
    fields.insert(header::CACHE_CONTROL, if current { KEEP } else { ASK_AGAIN });
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        fields.insert(header::ETAG, tag);
    }
    Ok(response)
}
