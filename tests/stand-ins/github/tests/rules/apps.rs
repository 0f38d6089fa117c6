//! GitHub Apps: JWTs, installations, tokens, and their permissions.

use std::time::{SystemTime, UNIX_EPOCH};

use github_stand_in::control::types::{AppMade, Limits, NewApp, NewInstallation, NewRepository};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Api, SHOP, World, permissions, start};

/// A stand-in with an App installed on `acme`.
pub(crate) struct WithApp {
    pub(crate) world: World,
    pub(crate) app: AppMade,
    pub(crate) installation: u64,
}

pub(crate) async fn with_app(grants: &[(&str, &str)]) -> WithApp {
    let world = start().await;
    let new = NewApp {
        slug: "matinee".to_owned(),
        owner: "acme".to_owned(),
        permissions: permissions(grants),
        ..NewApp::default()
    };
    let app = world.control.create_app(new).await.unwrap();
    let new = NewInstallation { account: "acme".to_owned(), repositories: None };
    let installation = world.control.install_app(app.id, new).await.unwrap();
    WithApp { world, app, installation }
}

/// Returns the seconds since 1970.
pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Signs claims with a key. Returns the JWT.
pub(crate) fn jwt(key: &str, claims: &Value) -> String {
    let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

impl WithApp {
    /// Returns a JWT as GitHub's documentation recommends it.
    pub(crate) fn jwt(&self) -> String {
        let claims = json!({"iat": now() - 60, "exp": now() + 540, "iss": self.app.id});
        jwt(&self.app.private_key, &claims)
    }

    /// Returns the REST API with the App's own JWT.
    fn as_app(&self) -> Api {
        self.world.with_token(&self.jwt())
    }

    /// Requests an installation token.
    async fn token(&self, body: Value) -> crate::support::Said {
        self.as_app().post(&format!("/app/installations/{}/access_tokens", self.installation), &body).await
    }

    /// Returns the REST API with an installation token.
    pub(crate) async fn as_installation(&self) -> Api {
        let made = self.token(json!({})).await.expect(201).body;
        self.world.with_token(made["token"].as_str().unwrap())
    }
}

#[tokio::test]
async fn an_app_finds_its_installation_and_gets_a_token() {
    let one = with_app(&[("deployments", "write")]).await;
    let api = one.as_app();
    let app = api.get("/app").await.expect(200).body;
    assert_eq!((&app["id"], &app["slug"]), (&json!(one.app.id), &json!("matinee")));
    for path in ["/repos/acme/shop/installation", "/orgs/acme/installation", "/users/acme/installation"] {
        assert_eq!(api.get(path).await.expect(200).body["id"], one.installation);
    }
    assert_eq!(api.get("/app/installations").await.expect(200).body[0]["id"], one.installation);
    let made = one.token(json!({})).await.expect(201).body;
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("ghs_") && token.len() == 520, "{}", token.len());
    assert_eq!(made["permissions"], json!({"deployments": "write", "metadata": "read"}));
    let installation = one.world.with_token(token);
    let list = installation.get("/installation/repositories").await.expect(200).body;
    assert_eq!((&list["total_count"], &list["repositories"][0]["full_name"]), (&json!(1), &json!(SHOP)));
    let body = json!({"ref": "main"});
    let made = installation.post("/repos/acme/shop/deployments", &body).await.expect(201).body;
    assert_eq!(made["creator"]["login"], "matinee[bot]");
    assert_eq!(made["creator"]["type"], "Bot");
    assert_eq!(made["performed_via_github_app"]["slug"], "matinee");
}

#[tokio::test]
async fn a_jwt_may_name_the_client_id() {
    let one = with_app(&[]).await;
    let claims = json!({"iat": now() - 60, "exp": now() + 300, "iss": one.app.client_id});
    let api = one.world.with_token(&jwt(&one.app.private_key, &claims));
    assert_eq!(api.get("/app").await.expect(200).body["id"], one.app.id);
}

#[tokio::test]
async fn jwts_are_checked() {
    let one = with_app(&[]).await;
    let exp = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the \
               assertion expires";
    let far = "'Expiration time' claim ('exp') is too far in the future";
    let iat =
        "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
    let iss = one.app.id;
    for (claims, status, message) in [
        (json!({"iat": now() - 60, "exp": now() - 1, "iss": iss}), 401, exp),
        (json!({"iat": now() - 60, "iss": iss}), 401, exp),
        (json!({"iat": now() - 60, "exp": now() + 720, "iss": iss}), 401, far),
        (json!({"iat": now() + 30, "exp": now() + 300, "iss": iss}), 401, iat),
        (json!({"exp": now() + 300, "iss": iss}), 401, iat),
        (json!({"iat": now() - 60, "exp": now() + 300, "iss": 1}), 404, "Integration not found"),
    ] {
        let api = one.world.with_token(&jwt(&one.app.private_key, &claims));
        api.get("/app").await.refused(status, message);
    }
    let undecodable = "A JSON web token could not be decoded";
    let mut forged = one.jwt();
    let place = forged.len() - 10;
    let other = if forged[place..].starts_with('A') { "B" } else { "A" };
    forged.replace_range(place..=place, other);
    one.world.with_token(&forged).get("/app").await.refused(401, undecodable);
    let key = EncodingKey::from_secret(b"secret");
    let claims = json!({"iat": now() - 60, "exp": now() + 300, "iss": iss});
    let unsigned = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
    one.world.with_token(&unsigned).get("/app").await.refused(401, undecodable);
    one.world.api.get("/app").await.refused(401, undecodable);
    one.world.anonymous().get("/app").await.refused(401, undecodable);
}

#[tokio::test]
async fn a_token_expires() {
    let one = with_app(&[("deployments", "read")]).await;
    let limits = Limits { token_lifetime_seconds: 1, token_length: 40, ..Limits::default() };
    one.world.control.set_limits(limits).await.unwrap();
    let made = one.token(json!({})).await.expect(201).body;
    let token = made["token"].as_str().unwrap();
    assert_eq!(token.len(), 40);
    let api = one.world.with_token(token);
    let mut answers = vec![api.get("/repos/acme/shop/deployments").await];
    while answers.last().unwrap().status == 200 && answers.len() < 100 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        answers.push(api.get("/repos/acme/shop/deployments").await);
    }
    answers.last().unwrap().refused(401, "Bad credentials");
}

#[tokio::test]
async fn all_tokens_can_be_made_to_expire_at_once() {
    let one = with_app(&[("deployments", "read")]).await;
    let api = one.as_installation().await;
    api.get("/repos/acme/shop/deployments").await.expect(200);
    one.world.control.expire_installation_tokens().await.unwrap();
    api.get("/repos/acme/shop/deployments").await.refused(401, "Bad credentials");
    let api = one.as_installation().await;
    api.delete("/installation/token").await.expect(204);
    api.get("/repos/acme/shop/deployments").await.refused(401, "Bad credentials");
}

#[tokio::test]
async fn a_token_can_be_narrowed_but_not_widened() {
    let one = with_app(&[("deployments", "read"), ("statuses", "write")]).await;
    let made = one.token(json!({"permissions": {"statuses": "read"}})).await.expect(201).body;
    assert_eq!(made["permissions"], json!({"statuses": "read", "metadata": "read"}));
    let beyond = "The permissions requested are not granted to this installation.";
    one.token(json!({"permissions": {"deployments": "write"}})).await.refused(422, beyond);
    one.token(json!({"permissions": {"checks": "read"}})).await.refused(422, beyond);

    let new = NewRepository { full_name: "acme/other".to_owned(), private: true, ..NewRepository::default() };
    one.world.control.create_repository(new).await.unwrap();
    let made = one.token(json!({"repositories": ["shop"]})).await.expect(201).body;
    assert_eq!(made["repository_selection"], "selected");
    let api = one.world.with_token(made["token"].as_str().unwrap());
    api.get("/repos/acme/other").await.refused(404, "Not Found");
    api.get("/repos/acme/shop").await.expect(200);
    let gone = "There is at least one repository that does not exist or is not accessible to the parent \
                installation.";
    one.token(json!({"repositories": ["nowhere"]})).await.refused(422, gone);
}

#[tokio::test]
async fn every_write_needs_its_permission() {
    let one = with_app(&[("deployments", "read"), ("contents", "read")]).await;
    let api = one.as_installation().await;
    let sha = one.world.control.push(SHOP, "feature").await.unwrap();
    one.world.control.open_pull_request(SHOP, "feature").await.unwrap();
    let id = one
        .world
        .api
        .post("/repos/acme/shop/deployments", &json!({"ref": "main"}))
        .await
        .expect(201)
        .body["id"]
        .clone();
    for (method, path, body, needed) in [
        ("POST", "/repos/acme/shop/deployments".to_owned(), json!({"ref": "main"}), "deployments=write"),
        (
            "POST",
            format!("/repos/acme/shop/deployments/{id}/statuses"),
            json!({"state": "success"}),
            "deployments=write",
        ),
        ("POST", format!("/repos/acme/shop/statuses/{sha}"), json!({"state": "success"}), "statuses=write"),
        (
            "POST",
            "/repos/acme/shop/check-runs".to_owned(),
            json!({"name": "a", "head_sha": sha}),
            "checks=write",
        ),
        (
            "POST",
            "/repos/acme/shop/issues/1/comments".to_owned(),
            json!({"body": "hello"}),
            "issues=write; pull_requests=write",
        ),
        ("PATCH", "/repos/acme/shop/pulls/1".to_owned(), json!({"state": "closed"}), "pull_requests=write"),
        ("PUT", "/repos/acme/shop/pulls/1/merge".to_owned(), json!({}), "contents=write"),
        ("DELETE", "/repos/acme/shop/environments/production".to_owned(), json!({}), "administration=write"),
        ("GET", "/repos/acme/shop/hooks".to_owned(), json!({}), "repository_hooks=read"),
    ] {
        let said = api.send(api.request(method.parse().unwrap(), &path).json(&body)).await;
        said.refused(403, "Resource not accessible by integration");
        assert_eq!(said.header("x-accepted-github-permissions"), needed);
    }
}

#[tokio::test]
async fn private_repositories_need_the_permission_to_read_and_are_hidden_from_strangers() {
    let one = with_app(&[("pull_requests", "read")]).await;
    let new =
        NewRepository { full_name: "acme/secret".to_owned(), private: true, ..NewRepository::default() };
    one.world.control.create_repository(new).await.unwrap();
    let api = one.as_installation().await;
    api.get("/repos/acme/secret/pulls").await.expect(200);
    let refused = api.get("/repos/acme/secret/deployments").await;
    refused.refused(403, "Resource not accessible by integration");
    let stranger = one.world.control.create_classic_token("mallory").await.unwrap();
    one.world.with_token(&stranger).get("/repos/acme/secret/pulls").await.refused(404, "Not Found");
    one.world.anonymous().get("/repos/acme/secret").await.refused(404, "Not Found");
}

#[tokio::test]
async fn an_installation_sees_only_its_repositories() {
    let one = with_app(&[("deployments", "write")]).await;
    for name in ["acme/private", "other/private"] {
        let new = NewRepository { full_name: name.to_owned(), private: true, ..NewRepository::default() };
        one.world.control.create_repository(new).await.unwrap();
    }
    let api = one.as_installation().await;
    api.get("/repos/acme/private").await.expect(200);
    api.get("/repos/other/private").await.refused(404, "Not Found");
    let new =
        NewInstallation { account: "other".to_owned(), repositories: Some(vec!["other/private".to_owned()]) };
    let other = one.world.control.install_app(one.app.id, new).await.unwrap();
    let path = format!("/app/installations/{other}/access_tokens");
    let made = one.as_app().post(&path, &json!({})).await.expect(201).body;
    let theirs = one.world.with_token(made["token"].as_str().unwrap());
    theirs.get("/repos/other/private").await.expect(200);
    theirs.get("/repos/acme/private").await.refused(404, "Not Found");
    // Everybody sees public repositories, but the installation can't write to them.
    theirs.get("/repos/acme/shop").await.expect(200);
    let said = theirs.post("/repos/acme/shop/deployments", &json!({"ref": "main"})).await;
    said.refused(403, "Resource not accessible by integration");
}

#[tokio::test]
async fn a_suspended_installation_may_nothing() {
    let one = with_app(&[("deployments", "write")]).await;
    let api = one.as_installation().await;
    one.world.control.suspend_installation(one.installation).await.unwrap();
    api.get("/repos/acme/shop").await.refused(403, "This installation has been suspended");
    one.token(json!({})).await.refused(403, "This installation has been suspended");
    one.world.control.resume_installation(one.installation).await.unwrap();
    api.get("/repos/acme/shop").await.expect(200);
}
