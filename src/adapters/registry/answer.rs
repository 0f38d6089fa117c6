//! Classifies the answers of registries.

use http::{HeaderMap, StatusCode, header};

/// Media types of image manifests: OCI, and Docker schema 2.
/// <https://github.com/opencontainers/image-spec/blob/main/media-types.md>
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// The meaning of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AnswerKind {
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

pub(super) fn verdict(status: StatusCode, headers: &HeaderMap) -> AnswerKind {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match status.as_u16() {
        200 if kind.trim_start().to_ascii_lowercase().starts_with("text/html") => AnswerKind::WebPage,
        200 => AnswerKind::There,
        301 | 302 | 303 | 307 | 308 => AnswerKind::Redirect,
        401 => AnswerKind::Unauthorized,
        403 => AnswerKind::Forbidden,
        404 => AnswerKind::Missing,
        405 | 501 => AnswerKind::NotAllowed,
        429 => AnswerKind::Limited,
        408 | 500..=599 => AnswerKind::Failed(status),
        _ => AnswerKind::Other(status),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_web_page_is_no_manifest() {
        let mut headers = HeaderMap::new();
        assert_eq!(verdict(StatusCode::OK, &headers), AnswerKind::There);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("Text/HTML; charset=utf-8"));
        assert_eq!(verdict(StatusCode::OK, &headers), AnswerKind::WebPage);
        assert_eq!(verdict(StatusCode::NOT_FOUND, &headers), AnswerKind::Missing);
    }
}
