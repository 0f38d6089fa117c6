//! Page on this machine that sends the browser to GitHub, and receives it again with the code.
//!
//! Nothing else is served. The path of the page is random, and only the terminal shows it: another
//! user of this machine who found the page could create the App and own it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use subtle::ConstantTimeEq as _;
use tokio::sync::{mpsc, oneshot};
use url::form_urlencoded;

/// Path to which GitHub redirects the browser.
pub(super) const CALLBACK: &str = "/callback";
/// Maximum length of a code. GitHub's codes have forty characters.
const LONGEST_CODE: usize = 200;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#1f2328}\
button{font:inherit;font-weight:600;color:#fff;background:#1f883d;border:0;border-radius:6px;padding:.5rem 1.2rem;cursor:pointer}";

/// A browser that GitHub has redirected here.
pub(super) struct Back {
    /// Code to exchange for the App's credentials.
    pub(super) code: String,
    /// Sends the result to the browser.
    pub(super) answer: oneshot::Sender<Ending>,
}

/// Result for the browser.
pub(super) enum Ending {
    /// The credentials are saved. The App can be installed at this URL.
    Install(String),
    /// It failed. The terminal shows the cause.
    Failed,
}

/// Content of the page.
pub(super) struct Offer<'a> {
    /// URL to which the form is posted.
    pub(super) action: &'a str,
    /// The manifest, as JSON.
    pub(super) manifest: &'a str,
    /// Future owner of the App.
    pub(super) owner: &'a str,
}

struct Door {
    /// Accepted `Host` headers. Any other is a foreign name that resolves to this machine.
    hosts: [String; 2],
    path: String,
    page: Markup,
    state: String,
    came: AtomicBool,
    sender: mpsc::Sender<Back>,
}

/// Returns the server for this address. The page is at `/<key>`; the returning browser must send
/// `state`.
pub(super) fn open(
    address: SocketAddr,
    key: &str,
    state: String,
    offer: &Offer<'_>,
) -> (Router, mpsc::Receiver<Back>) {
    let (sender, receiver) = mpsc::channel(1);
    let door = Door {
        hosts: [address.to_string(), format!("localhost:{}", address.port())],
        path: format!("/{key}"),
        page: page(offer),
        state,
        came: AtomicBool::new(false),
        sender,
    };
    (Router::new().fallback(answer).with_state(Arc::new(door)), receiver)
}

fn page(offer: &Offer<'_>) -> Markup {
    let body = html! {
        p {
            "GitHub shows the permissions of the App, and creates it for " b { (offer.owner) }
            ". You can change its name there."
        }
        form method="post" action=(offer.action) {
            input type="hidden" name="manifest" value=(offer.manifest);
            button { "Continue on GitHub" }
        }
    };
    document("Create a GitHub App for Matinee", &body)
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            meta charset="utf-8";
            title { (title) }
            style { (PreEscaped(STYLE)) }
            h1 { (title) }
            (body)
        }
    }
}

async fn answer(State(door): State<Arc<Door>>, request: Request) -> Response {
    let mut response = door.respond(&request.into_parts().0).await;
    let headers = response.headers_mut();
    // Without `form-action`, because browsers apply it to all further redirects, for example to a
    // company's sign-in page.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // GitHub receives the origin of the form, but not the path of the page.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("origin"));
    response
}

impl Door {
    async fn respond(&self, request: &Parts) -> Response {
        let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !self.hosts.iter().any(|known| known == host) {
            return refuse(
                StatusCode::MISDIRECTED_REQUEST,
                "Open this page with a browser on this machine, or through a forwarded port.",
            );
        }
        if request.method != Method::GET {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "Open this page with a browser.");
        }
        match request.uri.path() {
            CALLBACK => self.take(request.uri.query().unwrap_or_default()).await,
            path if same(path, &self.path) => self.page.clone().into_response(),
            _ => refuse(StatusCode::NOT_FOUND, "Not found. Open the URL that the terminal shows."),
        }
    }

    async fn take(&self, query: &str) -> Response {
        let value = |wanted: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        if !same(&value("state"), &self.state) {
            return refuse(
                StatusCode::FORBIDDEN,
                "The state of this redirect is wrong. Start again at the URL in the terminal.",
            );
        }
        let code = value("code");
        let good = (1..=LONGEST_CODE).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !good {
            return refuse(
                StatusCode::BAD_REQUEST,
                "GitHub sent no valid code. Start again at the URL in the terminal.",
            );
        }
        if self.came.swap(true, Ordering::SeqCst) {
            return refuse(
                StatusCode::GONE,
                "An App has been created already. The terminal shows the result.",
            );
        }
        let (answer, ending) = oneshot::channel();
        if self.sender.send(Back { code, answer }).await.is_err() {
            return refuse(StatusCode::GONE, "The command has ended. Run it again.");
        }
        match ending.await {
            Ok(Ending::Install(url)) => Redirect::to(&url).into_response(),
            Ok(Ending::Failed) | Err(_) => refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The App was created, but a later step failed. The terminal shows the cause.",
            ),
        }
    }
}

/// Compares in constant time.
fn same(given: &str, known: &str) -> bool {
    given.as_bytes().ct_eq(known.as_bytes()).into()
}

fn refuse(status: StatusCode, text: &str) -> Response {
    (status, document("Matinee", &html! { p { (text) } })).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    const STATE: &str = "0123456789abcdef";

    fn door() -> (Router, mpsc::Receiver<Back>) {
        let offer =
            Offer { action: "https://github.com/x?state=s", manifest: "{\"name\":\"<b>'\"}", owner: "a&b" };
        open(SocketAddr::from(([127, 0, 0, 1], 8085)), "key", STATE.to_owned(), &offer)
    }

    async fn get(router: &Router, method: Method, host: &str, path: &str) -> (StatusCode, String, String) {
        let request =
            Request::builder().method(method).uri(path).header("host", host).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, location.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_page_posts_the_manifest_and_nothing_else_is_there() {
        let (router, _receiver) = door();
        for host in ["127.0.0.1:8085", "localhost:8085"] {
            let (status, _, text) = get(&router, Method::GET, host, "/key").await;
            assert_eq!(status, StatusCode::OK);
            for part in [
                "value=\"{&quot;name&quot;:&quot;&lt;b&gt;'&quot;}\"",
                "<b>a&amp;b</b>",
                "action=\"https://github.com/x?state=s\"",
            ] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
        for path in ["/", "/keys", "/kez", "/key/", "/favicon.ico"] {
            assert_eq!(
                get(&router, Method::GET, "localhost:8085", path).await.0,
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
        for host in [
            "evil.example",
            "evil.example:8085",
            "localhost",
            "127.0.0.1:8086",
            "127.0.0.1:8085.evil.example",
            "",
        ] {
            let status = get(&router, Method::GET, host, "/key").await.0;
            assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        }
        assert_eq!(
            get(&router, Method::POST, "localhost:8085", "/key").await.0,
            StatusCode::METHOD_NOT_ALLOWED
        );
    }

    #[tokio::test]
    async fn who_comes_back_with_the_state_is_taken_once() {
        let (router, mut receiver) = door();
        let ask = |query: String| {
            let router = router.clone();
            async move { get(&router, Method::GET, "127.0.0.1:8085", &format!("/callback{query}")).await }
        };
        for query in
            ["", "?code=abc", "?code=abc&state=", "?code=abc&state=0123456789abcdeF", "?code=abc&state=0123"]
        {
            assert_eq!(ask(query.to_owned()).await.0, StatusCode::FORBIDDEN, "{query}");
        }
        for code in ["", "a/b", &"a".repeat(201)] {
            assert_eq!(ask(format!("?code={code}&state={STATE}")).await.0, StatusCode::BAD_REQUEST, "{code}");
        }
        assert!(receiver.try_recv().is_err());
        let waiting = tokio::spawn(ask(format!("?code=abc&state={STATE}")));
        let back = receiver.recv().await.unwrap();
        assert_eq!(back.code, "abc");
        assert_eq!(ask(format!("?code=abc&state={STATE}")).await.0, StatusCode::GONE);
        assert!(back.answer.send(Ending::Install("https://github.com/apps/m".into())).is_ok());
        let (status, location, _) = waiting.await.unwrap();
        assert_eq!((status, location.as_str()), (StatusCode::SEE_OTHER, "https://github.com/apps/m"));
    }

    #[tokio::test]
    async fn a_failure_is_told_to_the_browser_too() {
        let (router, mut receiver) = door();
        let waiting = tokio::spawn(async move {
            get(&router, Method::GET, "127.0.0.1:8085", &format!("/callback?code=a&state={STATE}")).await
        });
        assert!(receiver.recv().await.unwrap().answer.send(Ending::Failed).is_ok());
        let (status, _, text) = waiting.await.unwrap();
        assert!(status == StatusCode::INTERNAL_SERVER_ERROR && text.contains("terminal"), "{text}");
    }
}
