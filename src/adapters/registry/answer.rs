//! Classifies the answers of registries.

use http::{HeaderMap, StatusCode, header};

/// Media types of image manifests: OCI, and Docker schema 2.
/// <https://github.com/opencontainers/image-spec/blob/main/media-types.md>
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// The meaning of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    There,
    Missing,
    Unauthorized,
    Forbidden,
    NotAllowed,
    Redirect,
    Limited,
    /// A temporary failure.
    Failed(StatusCode),
    /// A success that isn't a registry's answer.
    WebPage,
    /// Any other status.
    Other(StatusCode),
}

pub(super) fn verdict(status: StatusCode, headers: &HeaderMap) -> Verdict {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match status.as_u16() {
        200 if kind.trim_start().to_ascii_lowercase().starts_with("text/html") => Verdict::WebPage,
        200 => Verdict::There,
        301 | 302 | 303 | 307 | 308 => Verdict::Redirect,
        401 => Verdict::Unauthorized,
        403 => Verdict::Forbidden,
        404 => Verdict::Missing,
        405 | 501 => Verdict::NotAllowed,
        429 => Verdict::Limited,
        408 | 500..=599 => Verdict::Failed(status),
        _ => Verdict::Other(status),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_web_page_is_no_manifest() {
        let mut headers = HeaderMap::new();
        assert_eq!(verdict(StatusCode::OK, &headers), Verdict::There);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("Text/HTML; charset=utf-8"));
        assert_eq!(verdict(StatusCode::OK, &headers), Verdict::WebPage);
        assert_eq!(verdict(StatusCode::NOT_FOUND, &headers), Verdict::Missing);
    }
}
