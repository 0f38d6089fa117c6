use std::path::PathBuf;

use clap::Parser;

use super::*;
use crate::core::signature::WebhookSecret;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    flags: Flags,
}

/// Temporary folder of one test. It is deleted when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("matinee-settings-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn check(folder: &Folder, arguments: &[&str]) -> Result<Settings, String> {
    let secret = folder.file("secret", "0123456789abcdef\n");
    let all = [&["matinee", "--webhook-secret-file", &secret], arguments].concat();
    let flags = Program::try_parse_from(all).map_err(|error| error.to_string())?.flags;
    Settings::new(&flags, &folder.0.join("namespace"))
}

#[test]
fn one_secret_is_enough_and_the_rest_has_defaults() {
    let folder = Folder::new("defaults");
    let settings = check(&folder, &[]).unwrap();
    assert_eq!(settings.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(settings.admin_listen.to_string(), "0.0.0.0:8081");
    assert_eq!(settings.webhook_secrets.secrets()[..], [WebhookSecret::new(b"0123456789abcdef").unwrap()]);
    assert_eq!(settings.webhook_max_bytes, crate::server::LARGEST_WEBHOOK);
    assert_eq!(settings.namespace, "matinee-system");
    assert_eq!((settings.cluster_id, settings.public_url), (None, None));
    assert_eq!(settings.sweep_interval.as_secs(), 60);
    assert_eq!(settings.github_write_interval.as_secs(), 1);
    assert_eq!(settings.concurrency, 16);
    assert_eq!(settings.log, Log { format: LogFormat::Auto, filter: "info".into() });
}

#[test]
fn everything_can_be_set() {
    let folder = Folder::new("all");
    let next = folder.file("next", "the secret that comes next");
    let settings = check(
        &folder,
        &[
            "--listen=[::1]:0",
            "--admin-listen=127.0.0.1:9",
            "--webhook-secret-file",
            &next,
            "--webhook-max-bytes=1024",
            "--namespace=previews",
            "--cluster-id=east_1.a",
            "--public-url=https://example.com/matinee/",
            "--sweep-interval=1h30m",
            "--github-write-interval=0s",
            "--concurrency=1000",
            "--log-format=json",
            "--log=matinee=debug,kube=warn,info",
        ],
    )
    .unwrap();
    assert_eq!(settings.listen.to_string(), "[::1]:0");
    assert_eq!(settings.admin_listen.to_string(), "127.0.0.1:9");
    assert_eq!(settings.webhook_secrets.secrets().len(), 2);
    assert_eq!(settings.webhook_max_bytes, 1_024);
    assert_eq!(settings.namespace, "previews");
    assert_eq!(settings.cluster_id.as_deref(), Some("east_1.a"));
    assert_eq!(settings.public_url.as_deref(), Some("https://example.com/matinee"));
    assert_eq!(settings.sweep_interval.as_secs(), 5_400);
    assert_eq!(settings.github_write_interval.as_secs(), 0);
    assert_eq!(settings.concurrency, 1_000);
    assert_eq!(settings.log.format, LogFormat::Json);
}

#[test]
fn each_mistake_names_the_flag_and_the_remedy() {
    let folder = Folder::new("mistakes");
    let (empty, short) = (folder.file("empty", "\n"), folder.file("short", "0123456789abcde"));
    let (long, gone) = (folder.file("long", &"x".repeat(5_000)), folder.0.join("gone").display().to_string());
    for (flag, value, remedy) in [
        ("listen", "8080", "with a port, like 0.0.0.0:8080"),
        ("listen", "localhost:http", "with a port, like 0.0.0.0:8080"),
        ("admin-listen", "8081", "with a port, like 0.0.0.0:8080"),
        ("webhook-secret-file", &empty, "empty holds no usable secret, it is empty: generate"),
        ("webhook-secret-file", &short, "it has 15 bytes, fewer than 16: generate"),
        ("webhook-secret-file", &long, "name a file that holds one secret"),
        ("webhook-secret-file", &gone, "gone can't be read: No such file"),
        ("webhook-max-bytes", "25MB", "write a whole number from 1024 to 104857600"),
        ("webhook-max-bytes", "1023", "write a whole number from 1024"),
        ("namespace", "Previews", "write lower case letters"),
        ("namespace", "-", "write lower case letters"),
        ("cluster-id", "a b", "write letters, digits"),
        ("public-url", "example.com", "write it like https://matinee.example.com"),
        ("public-url", "ftp://example.com", "neither https nor http"),
        ("public-url", "https://x.example/?a=b", "a query or a fragment"),
        ("sweep-interval", "60", "write it like 90s"),
        ("sweep-interval", "4s", "write a duration from 5s to 1d"),
        ("github-write-interval", "61s", "write a duration from 0s to 1m"),
        ("slack-api-url", "slack.com", "write it like https://matinee.example.com"),
        ("concurrency", "0", "write a whole number from 1 to 1000"),
        ("concurrency", "70000", "write a whole number from 1 to 1000"),
        ("leader-elect", "yes", "possible values: true, false"),
        ("lease-name", "", "write lower case letters"),
        ("identity", "a\nb", "write printable characters"),
        ("config-map", "A", "write lower case letters"),
        ("log-format", "logfmt", "possible values: auto, text, json"),
        ("log", "matinee=loud", "write it like info"),
    ] {
        let problem = check(&folder, &[&format!("--{flag}={value}")]).unwrap_err();
        assert!(problem.contains(&format!("--{flag} ")) && problem.contains(remedy), "{problem}");
    }
}

#[test]
fn an_empty_value_counts_as_unset() {
    let folder = Folder::new("unset");
    let empty = ["--cluster-id=", "--public-url=", "--identity=", "--config-map="];
    let settings = check(&folder, &empty).unwrap();
    assert_eq!((settings.cluster_id, settings.public_url, settings.config_map), (None, None, None));
    assert!(!settings.election.unwrap().identity.is_empty());
}

#[test]
fn it_does_not_start_without_a_secret() {
    let flags = Program::try_parse_from(["matinee", "--webhook-secret-file="]).unwrap().flags;
    let problem = Settings::new(&flags, Path::new("/nowhere")).unwrap_err();
    assert!(problem.starts_with("--webhook-secret-file (MATINEE_WEBHOOK_SECRET_FILES): "), "{problem}");
    assert!(problem.contains("openssl rand -hex 32"), "{problem}");
}

#[test]
fn a_password_in_a_url_is_not_repeated() {
    let folder = Folder::new("password");
    for flag in ["public-url", "slack-api-url", "slack-response-url"] {
        let url = format!("--{flag}=https://mona:hunter2@example.com");
        let problem = check(&folder, &[&url]).unwrap_err();
        assert!(problem.contains("a user name or a password") && !problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn the_own_namespace_is_the_service_accounts_unless_it_is_given() {
    let folder = Folder::new("namespace");
    folder.file("namespace", "operators\n");
    assert_eq!(check(&folder, &[]).unwrap().namespace, "operators");
    assert_eq!(check(&folder, &["--namespace="]).unwrap().namespace, "operators");
    assert_eq!(check(&folder, &["--namespace=other"]).unwrap().namespace, "other");
}

#[test]
fn secrets_are_read_anew_on_request() {
    let folder = Folder::new("anew");
    let files = check(&folder, &[]).unwrap().webhook_secrets;
    folder.file("secret", "fedcba9876543210");
    let next = files.reopen().unwrap();
    assert_ne!(files, next);
    assert_eq!(next.secrets()[..], [WebhookSecret::new(b"fedcba9876543210").unwrap()]);
    folder.file("secret", "");
    assert!(files.reopen().unwrap_err().contains("it is empty"));
}

#[test]
fn no_secret_is_printed_with_the_settings() {
    let folder = Folder::new("printed");
    assert!(!format!("{:?}", check(&folder, &[]).unwrap()).contains("0123456789abcdef"));
}
