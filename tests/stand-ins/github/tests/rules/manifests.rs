//! Apps from manifests: from a form on another site to the credentials, and installation by hand.

use std::time::Duration;

use github_stand_in::control::types::{AccountKind, Limits, NewRepository};
use serde_json::{Value, json};

use crate::apps::{jwt, now};
use crate::receiver::{Receiver, openssl_hmac};
use crate::support::{SHOP, World, start, start_below};

/// A browser that loads pages and follows no redirect.
struct Browser {
    base: String,
    http: reqwest::Client,
}

/// A page, or the target of a redirect.
struct Page {
    status: u16,
    location: String,
    policy: String,
    text: String,
}

impl Browser {
    fn new(world: &World) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { base: world.stand_in.html_url().to_owned(), http }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Page {
        let response = request.header("accept", "text/html").send().await.unwrap();
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let (location, policy) = (header("location"), header("content-security-policy"));
        Page { status: response.status().as_u16(), location, policy, text: response.text().await.unwrap() }
    }

    async fn get(&self, path: &str) -> Page {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Page {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let request = self.http.post(format!("{}{path}", self.base)).body(body.finish());
        // Manifests are sent by a form on another site.
        let site = if path.contains("settings/apps/new") { "cross-site" } else { "same-origin" };
        self.send(request.header("sec-fetch-site", site)).await
    }
}

fn manifest() -> Value {
    json!({
        "name": "Preview of Acme",
        "url": "https://matinee.example.com",
        "redirect_url": "http://127.0.0.1:9/callback",
        "public": false,
        "default_permissions": {"deployments": "write", "metadata": "read", "issues": "write"},
        "default_events": ["deployment", "issue_comment"],
    })
}

/// Starts a stand-in with the organization `acme` and a repository. Returns a browser for its pages
/// too.
async fn organization(base_path: &str) -> (World, Browser) {
    let world = if base_path.is_empty() { start().await } else { start_below(base_path).await };
    world.control.create_account("acme", AccountKind::Organization).await.unwrap();
    let browser = Browser::new(&world);
    (world, browser)
}

const NEW: &str = "/organizations/acme/settings/apps/new?state=abc";

/// Creates the App. Returns the redirect.
async fn create(browser: &Browser, manifest: &Value, name: &str) -> Page {
    let text = manifest.to_string();
    let form = [("manifest", text.as_str()), ("state", "abc"), ("name", name)];
    browser.post("/organizations/acme/settings/apps", &form).await
}

fn code(page: &Page) -> String {
    let (_, rest) = page.location.split_once("code=").unwrap();
    rest.split('&').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_manifest_becomes_an_app_and_its_credentials_are_had_once() {
    for base_path in ["", "/api/v3"] {
        let (world, browser) = organization(base_path).await;
        let offered = browser.post(NEW, &[("manifest", &manifest().to_string())]).await;
        assert_eq!(offered.status, 200, "{}", offered.text);
        for part in
            ["Create GitHub App for acme", "value=\"Preview of Acme\"", "name=\"state\" value=\"abc\""]
        {
            assert!(offered.text.contains(part), "{part}: {}", offered.text);
        }
        assert!(offered.policy.contains("form-action 'self' http://127.0.0.1:9;"), "{}", offered.policy);
        let back = create(&browser, &manifest(), "Another name").await;
        assert_eq!(back.status, 303, "{}", back.text);
        assert!(back.location.starts_with("http://127.0.0.1:9/callback?code="), "{}", back.location);
        assert!(back.location.ends_with("&state=abc"), "{}", back.location);

        let path = format!("/app-manifests/{}/conversions", code(&back));
        let api = world.anonymous();
        let made = api.post(&path, &json!({})).await.expect(201).body;
        assert_eq!((&made["slug"], &made["name"]), (&json!("another-name"), &json!("Another name")));
        assert_eq!(made["owner"]["login"], "acme");
        assert_eq!(made["permissions"], manifest()["default_permissions"]);
        assert_eq!(made["events"], manifest()["default_events"]);
        assert_eq!(made["external_url"], "https://matinee.example.com");
        assert_eq!(made["html_url"], format!("{}/apps/another-name", world.stand_in.html_url()));
        assert!(made["webhook_secret"].is_null() && made["client_secret"].is_string());
        api.post(&path, &json!({})).await.refused(404, "Not Found");

        let claims = json!({"iat": now() - 60, "exp": now() + 300, "iss": made["id"]});
        let app = world.with_token(&jwt(made["pem"].as_str().unwrap(), &claims));
        assert_eq!(app.get("/app").await.expect(200).body["id"], made["id"]);
    }
}

#[tokio::test]
async fn a_code_is_good_for_its_time_only() {
    let (world, browser) = organization("").await;
    let limits = Limits { manifest_code_lifetime_seconds: 0, ..Limits::default() };
    world.control.set_limits(limits).await.unwrap();
    let back = create(&browser, &manifest(), "Late").await;
    let path = format!("/app-manifests/{}/conversions", code(&back));
    world.anonymous().post(&path, &json!({})).await.refused(404, "Not Found");
    world.anonymous().post("/app-manifests/nonsense/conversions", &json!({})).await.refused(404, "Not Found");
}

#[tokio::test]
async fn what_is_no_manifest_is_refused_before_anything_is_made() {
    let (_world, browser) = organization("").await;
    let with = |field: &str, value: Value| {
        let mut changed = manifest();
        changed[field] = value;
        changed.to_string()
    };
    let mut without_url = manifest();
    without_url.as_object_mut().unwrap().remove("url");
    let local = "Hook url is not supported because it isn't reachable over the public Internet (localhost)";
    for (manifest, problem) in [
        ("no JSON".to_owned(), "Problems parsing JSON"),
        (without_url.to_string(), "&quot;url&quot; wasn't supplied."),
        (with("url", json!("matinee.example.com")), "Url is invalid"),
        (with("url", json!(7)), "For 'properties/url', 7 is not a string."),
        (with("redirect_url", json!("/callback")), "Redirect url is invalid"),
        (with("colour", json!("red")), "&quot;colour&quot; is not a permitted key."),
        (with("hook_attributes", json!({"active": false})), "&quot;url&quot; wasn't supplied."),
        (with("hook_attributes", json!({"url": "http://localhost:3000/"})), local),
        (
            with("hook_attributes", json!({"url": "http://127.0.0.1/"})),
            "reachable over the public Internet (127.0.0.1)",
        ),
        (with("hook_attributes", json!({"url": "http://[::1]/"})), "reachable over the public Internet"),
        (with("default_events", json!(["installation"])), "Default events unsupported: installation"),
        (
            with("default_events", json!(["check_run", "push"])),
            "Default events are not supported by permissions: check_run and push",
        ),
        (
            with("default_permissions", json!({"everything": "write"})),
            "Default permission records resource is not included in the list",
        ),
        (
            with("default_permissions", json!({"deployments": "all"})),
            "Default permission records action is not included in the list",
        ),
        (with("callback_urls", json!(vec!["https://a.example"; 11])), "at most 10"),
    ] {
        for path in [NEW, "/organizations/acme/settings/apps"] {
            let page = browser.post(path, &[("manifest", &manifest), ("name", "X")]).await;
            assert_eq!(page.status, 422, "{manifest}");
            assert!(page.text.contains("Invalid GitHub App configuration"), "{}", page.text);
            assert!(page.text.contains(problem), "{problem}: {}", page.text);
        }
    }
    assert_eq!(browser.get("/apps/x").await.status, 404);
    let good = manifest().to_string();
    let elsewhere = browser.post("/organizations/nowhere/settings/apps/new", &[("manifest", &good)]).await;
    assert_eq!(elsewhere.status, 404);
}

#[tokio::test]
async fn names_are_everybodys_and_bounded() {
    let (world, browser) = organization("").await;
    world.control.create_account("mona", AccountKind::User).await.unwrap();
    assert_eq!(create(&browser, &manifest(), "Matinee").await.status, 303);
    for (name, problem) in [
        ("matinee", "Name has already been taken"),
        ("MATINEE!", "Name has already been taken"),
        ("mona", "Name has already been taken"),
        ("an App's name of thirty-five letters", "Name is too long (maximum is 34 characters)"),
        ("!", "can't be blank"),
    ] {
        let page = create(&browser, &manifest(), name).await;
        assert_eq!(page.status, 422, "{name}");
        // The page has a form, so that the person can choose another name.
        assert!(page.text.contains(problem) && page.text.contains("<form"), "{problem}: {}", page.text);
    }
    assert_eq!(create(&browser, &manifest(), "acme").await.status, 303, "the owner's own name is theirs");
}

#[tokio::test]
async fn a_persons_own_app_takes_no_organization() {
    let (world, browser) = organization("").await;
    world.control.create_account("mona", AccountKind::User).await.unwrap();
    let page = browser.post("/settings/apps/new", &[("manifest", &manifest().to_string())]).await;
    assert!(
        page.text.contains("Create GitHub App for yourself") && page.text.contains("<option>mona"),
        "{}",
        page.text
    );
    assert!(!page.text.contains("name=\"state\""));
    let text = manifest().to_string();
    let form = [("manifest", text.as_str()), ("name", "Mine"), ("account", "mona")];
    let back = browser.post("/settings/apps", &form).await;
    assert!(!back.location.contains("state="), "{}", back.location);
    let path = format!("/app-manifests/{}/conversions", code(&back));
    assert_eq!(world.anonymous().post(&path, &json!({})).await.expect(201).body["owner"]["login"], "mona");
}

#[tokio::test]
async fn its_webhook_is_signed_with_the_secret_that_was_handed_out() {
    let (world, browser) = organization("").await;
    let receiver = Receiver::start().await;
    let url = receiver.url.replace("127.0.0.1", "hooks.test");
    let mut manifest = manifest();
    manifest["hook_attributes"] = json!({"url": url});
    let back = create(&browser, &manifest, "Hooked").await;
    let path = format!("/app-manifests/{}/conversions", code(&back));
    let made = world.anonymous().post(&path, &json!({})).await.expect(201).body;
    world.control.settle(Duration::from_secs(5)).await.unwrap();
    let ping = receiver.arrived().remove(0);
    assert_eq!(ping.header("x-github-event"), "ping");
    let signature = openssl_hmac(made["webhook_secret"].as_str().unwrap(), &ping.body);
    assert_eq!(ping.header("x-hub-signature-256"), format!("sha256={signature}"));

    // Only the App itself can set another secret.
    let claims = json!({"iat": now() - 60, "exp": now() + 300, "iss": made["id"]});
    let app = world.with_token(&jwt(made["pem"].as_str().unwrap(), &claims));
    let (path, mine) = ("/app/hook/config", json!({"secret": "a secret of mine", "content_type": "json"}));
    world.api.patch(path, &mine).await.refused(401, "A JSON web token could not be decoded");
    app.patch(path, &json!({"content_type": "xml"})).await.expect(422);
    let shown = app.patch(path, &mine).await.expect(200).body;
    assert_eq!((&shown["secret"], &shown["url"]), (&json!("********"), &json!(url)));
    let install = [("account", "acme"), ("selection", "all")];
    assert_eq!(browser.post("/apps/hooked/installations", &install).await.status, 303);
    world.control.settle(Duration::from_secs(5)).await.unwrap();
    let told = receiver.arrived().remove(1);
    let signature = openssl_hmac("a secret of mine", &told.body);
    assert_eq!(told.header("x-hub-signature-256"), format!("sha256={signature}"));

    manifest["hook_attributes"]["active"] = json!(false);
    create(&browser, &manifest, "Silent").await;
    world.control.settle(Duration::from_secs(5)).await.unwrap();
    assert_eq!(receiver.arrived().len(), 2);
}

#[tokio::test]
async fn somebody_installs_it_by_hand() {
    let (world, browser) = organization("").await;
    let other = NewRepository { full_name: "acme/other".to_owned(), ..NewRepository::default() };
    world.control.create_repository(other).await.unwrap();
    let theirs = NewRepository { full_name: "mona/shop".to_owned(), ..NewRepository::default() };
    world.control.create_repository(theirs).await.unwrap();
    let mut manifest = manifest();
    manifest["setup_url"] = json!("https://matinee.example.com/welcome");
    let back = create(&browser, &manifest, "Matinee").await;
    let path = format!("/app-manifests/{}/conversions", code(&back));
    let made = world.anonymous().post(&path, &json!({})).await.expect(201).body;

    assert!(browser.get("/apps/matinee").await.text.contains("/apps/matinee/installations/new"));
    let page = browser.get("/apps/matinee/installations/new").await;
    assert!(page.text.contains("value=\"acme/other\"") && !page.text.contains("mona"), "{}", page.text);
    assert!(page.policy.contains("form-action 'self' https://matinee.example.com;"), "{}", page.policy);
    let install =
        |form: &'static [(&'static str, &'static str)]| browser.post("/apps/matinee/installations", form);
    let refused = install(&[("account", "mona"), ("selection", "all")]).await;
    assert_eq!(refused.status, 422, "it is private: {}", refused.text);
    assert_eq!(install(&[("account", "acme"), ("selection", "selected")]).await.status, 422);
    let chosen = [("account", "acme"), ("selection", "selected"), ("repository", SHOP)];
    let done = browser.post("/apps/matinee/installations", &chosen).await;
    assert_eq!(done.status, 303, "{}", done.text);
    assert!(
        done.location.starts_with("https://matinee.example.com/welcome?installation_id="),
        "{}",
        done.location
    );
    assert!(done.location.ends_with("&setup_action=install"));
    assert_eq!(browser.post("/apps/matinee/installations", &chosen).await.status, 422, "once for an account");

    let claims = json!({"iat": now() - 60, "exp": now() + 300, "iss": made["id"]});
    let app = world.with_token(&jwt(made["pem"].as_str().unwrap(), &claims));
    let installations = app.get("/app/installations").await.expect(200).body;
    let found = &installations[0];
    assert_eq!(
        (&found["account"]["login"], &found["repository_selection"]),
        (&json!("acme"), &json!("selected"))
    );
    let page = browser.get(&format!("/settings/installations/{}", found["id"])).await;
    assert!(page.text.contains(SHOP) && !page.text.contains("acme/other"), "{}", page.text);
}
