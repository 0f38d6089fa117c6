//! Manifests: names, references, types.

use registry_stand_in::control::types::{Authentication, Kind, NewImage};
use reqwest::Method;

use crate::{OCI, World, send};

const PR_7: &str = "/v2/acme/shop/manifests/pr-7";

#[tokio::test]
async fn a_manifest_is_found_by_tag_and_by_digest() {
    let world = World::start(Authentication::Open).await;
    let by_digest = format!("/v2/acme/shop/manifests/{}", world.digest);
    for path in [PR_7, &by_digest] {
        let got = world.get(path).await;
        assert_eq!((got.status, got.header("content-type")), (200, OCI));
        assert_eq!(got.header("docker-content-digest"), world.digest);
        assert_eq!(got.json()["mediaType"], OCI);
        let head = world.head(path).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
        assert_eq!(head.header("content-length"), got.text.len().to_string());
        assert_eq!(head.header("docker-content-digest"), world.digest);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let world = World::start(Authentication::Open).await;
    let other = format!("/v2/acme/shop/manifests/sha256:{}", "0".repeat(64));
    for (path, code) in [
        ("/v2/acme/shop/manifests/pr-8", "MANIFEST_UNKNOWN"),
        (&other, "MANIFEST_UNKNOWN"),
        ("/v2/acme/other/manifests/pr-7", "NAME_UNKNOWN"),
        ("/v2/shop/manifests/pr-7", "NAME_UNKNOWN"),
    ] {
        world.get(path).await.refused(404, code);
        let head = world.head(path).await;
        assert_eq!((head.status, head.text.as_str()), (404, ""), "{path}");
    }
}

#[tokio::test]
async fn what_has_not_the_form_is_refused() {
    let world = World::start(Authentication::Open).await;
    for (path, code) in [
        ("/v2/Acme/shop/manifests/pr-7", "NAME_INVALID"),
        ("/v2/acme//shop/manifests/pr-7", "NAME_INVALID"),
        ("/v2/acme/sh___op/manifests/pr-7", "NAME_INVALID"),
        ("/v2/acme/shop/manifests/-x", "MANIFEST_INVALID"),
        ("/v2/acme/shop/manifests/sha256:00", "DIGEST_INVALID"),
    ] {
        world.get(path).await.refused(400, code);
    }
    world.get("/v2/acme/shop/tags/list").await.refused(404, "UNSUPPORTED");
    send(world.request(Method::DELETE, PR_7)).await.refused(405, "UNSUPPORTED");
}

#[tokio::test]
async fn names_have_as_many_segments_as_they_like() {
    let world = World::start(Authentication::Open).await;
    for name in ["shop", "a/b/c/d", "a/manifests/b", "a.b/c__d/e--f"] {
        world.control.put_image(NewImage::new(name, "v1")).await.unwrap();
        assert_eq!(world.head(&format!("/v2/{name}/manifests/v1")).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn a_type_that_is_not_accepted_is_not_found() {
    let world = World::start(Authentication::Open).await;
    for kind in [Kind::OciManifest, Kind::OciIndex, Kind::DockerManifest, Kind::DockerList] {
        world.control.put_image(NewImage { kind, ..NewImage::new("acme/shop", "typed") }).await.unwrap();
        let ask = |accept: &str| {
            let request = world.request(Method::GET, "/v2/acme/shop/manifests/typed");
            if accept.is_empty() { request } else { request.header("accept", accept) }
        };
        let right = send(ask(&format!("text/html, {};q=0.5", kind.media_type()))).await;
        assert_eq!((right.status, right.header("content-type")), (200, kind.media_type()));
        for wrong in ["", "*/*", "application/json"] {
            send(ask(wrong)).await.refused(404, "MANIFEST_UNKNOWN");
        }
        // Several `Accept` headers count as one list.
        let two = ask("text/html").header("accept", kind.media_type());
        assert_eq!(send(two).await.status, 200);
    }
}

#[tokio::test]
async fn a_tag_moves_and_what_it_pointed_to_stays() {
    let world = World::start(Authentication::Open).await;
    let new = NewImage { content: "two".into(), ..NewImage::new("acme/shop", "pr-7") };
    let moved = world.control.put_image(new).await.unwrap().digest;
    assert_ne!(moved, world.digest);
    assert_eq!(world.head(PR_7).await.header("docker-content-digest"), moved);
    assert_eq!(world.head(&format!("/v2/acme/shop/manifests/{}", world.digest)).await.status, 200);
    world.control.remove_image("acme/shop", "pr-7").await.unwrap();
    assert_eq!(world.head(PR_7).await.status, 404);
    assert_eq!(world.head(&format!("/v2/acme/shop/manifests/{moved}")).await.status, 404);
}
