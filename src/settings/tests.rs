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

fn flags(arguments: &[&str]) -> Flags {
    Program::try_parse_from([&["matinee"], arguments].concat()).unwrap().flags
}

fn check(folder: &Folder, arguments: &[&str]) -> Result<Settings, Problems> {
    let secret = folder.file("secret", "0123456789abcdef\n");
    let all = [&["--webhook-secret-file", &secret], arguments].concat();
    Settings::check(&flags(&all), &folder.0.join("namespace"))
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
fn each_mistake_names_the_flag_the_variable_and_the_remedy() {
    let folder = Folder::new("mistakes");
    let (empty, short) = (folder.file("empty", "\n"), folder.file("short", "0123456789abcde"));
    let (long, gone) = (folder.file("long", &"x".repeat(5_000)), folder.0.join("gone").display().to_string());
    for (flag, variable, value, remedy) in [
        ("listen", "MATINEE_LISTEN", "8080", "write it like 0.0.0.0:8080"),
        ("listen", "MATINEE_LISTEN", "localhost:http", "write it like 0.0.0.0:8080"),
        ("admin-listen", "MATINEE_ADMIN_LISTEN", "8081", "write it like 0.0.0.0:8081"),
        (
            "webhook-secret-file",
            "MATINEE_WEBHOOK_SECRET_FILES",
            &empty,
            "empty holds no usable secret, it is empty: generate",
        ),
        (
            "webhook-secret-file",
            "MATINEE_WEBHOOK_SECRET_FILES",
            &short,
            "it has 15 bytes, fewer than 16: generate",
        ),
        ("webhook-secret-file", "MATINEE_WEBHOOK_SECRET_FILES", &long, "name a file that holds one secret"),
        ("webhook-secret-file", "MATINEE_WEBHOOK_SECRET_FILES", &gone, "gone can't be read: No such file"),
        (
            "webhook-max-bytes",
            "MATINEE_WEBHOOK_MAX_BYTES",
            "25MB",
            "write a whole number from 1024 to 104857600",
        ),
        ("webhook-max-bytes", "MATINEE_WEBHOOK_MAX_BYTES", "1023", "write a whole number from 1024"),
        ("namespace", "MATINEE_NAMESPACE", "Previews", "write lower case letters"),
        ("namespace", "MATINEE_NAMESPACE", "-", "write lower case letters"),
        ("cluster-id", "MATINEE_CLUSTER_ID", "a b", "write letters, digits"),
        ("public-url", "MATINEE_PUBLIC_URL", "example.com", "write it like https://matinee.example.com"),
        ("public-url", "MATINEE_PUBLIC_URL", "ftp://example.com", "neither https nor http"),
        ("public-url", "MATINEE_PUBLIC_URL", "https://x.example/?a=b", "a query or a fragment"),
        ("sweep-interval", "MATINEE_SWEEP_INTERVAL", "60", "write it like 90s"),
        ("sweep-interval", "MATINEE_SWEEP_INTERVAL", "4s", "write a duration from 5s to 1d"),
        ("github-write-interval", "MATINEE_GITHUB_WRITE_INTERVAL", "61s", "write a duration from 0s to 1m"),
        ("concurrency", "MATINEE_CONCURRENCY", "0", "write a whole number from 1 to 1000"),
        ("concurrency", "MATINEE_CONCURRENCY", "70000", "write a whole number from 1 to 1000"),
        ("log-format", "MATINEE_LOG_FORMAT", "logfmt", "write auto, text or json"),
        ("log", "RUST_LOG", "matinee=loud", "write it like info"),
    ] {
        let Problems(problems) = check(&folder, &[&format!("--{flag}={value}")]).unwrap_err();
        let [problem] = &problems[..] else { panic!("{flag}={value}: {problems:?}") };
        assert_eq!((problem.flag, problem.variable), (flag, variable));
        assert!(problem.text.contains(remedy), "{problem}");
        assert!(problem.to_string().starts_with(&format!("--{flag} ({variable}): ")), "{problem}");
    }
}

#[test]
fn it_does_not_start_without_a_secret_and_tells_all_mistakes_at_once() {
    let folder = Folder::new("none");
    let problems = Settings::check(
        &flags(&["--listen=x", "--webhook-secret-file=", "--log-format=y"]),
        &folder.0.join("no"),
    )
    .unwrap_err();
    let flags: Vec<_> = problems.0.iter().map(|problem| problem.flag).collect();
    assert_eq!(flags, ["listen", "webhook-secret-file", "log-format"]);
    assert_eq!(problems.to_string().lines().count(), 3);
    assert!(problems.to_string().contains("openssl rand -hex 32"), "{problems}");
}

#[test]
fn a_password_in_a_url_is_not_repeated() {
    let folder = Folder::new("password");
    let problems = check(&folder, &["--public-url=https://mona:hunter2@example.com"]).unwrap_err();
    assert!(problems.to_string().contains("a user name or a password"), "{problems}");
    assert!(!problems.to_string().contains("hunter2"), "{problems}");
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
