//! The API server: whether it responds, and whether it is new enough.

use k8s_openapi::apimachinery::pkg::version::Info;

use super::{Finding, Subject};

/// The oldest supported minor version of Kubernetes 1.
pub const OLDEST_MINOR: u32 = 33;

/// Checks that the API server responds and is new enough. `user` is the user of the request.
pub fn version(server: &Result<Info, String>, user: Option<&str>) -> Finding {
    let subject = Subject::new("API server");
    let server = match server {
        Ok(server) => server,
        Err(why) => {
            return subject.problem(
                format!("can't be reached: {why}"),
                "check KUBECONFIG and its current context; in a pod, check the network policies",
            );
        }
    };
    let digits: String = server.minor.chars().take_while(char::is_ascii_digit).collect();
    let new_enough = server.major == "1" && digits.parse::<u32>().is_ok_and(|minor| minor >= OLDEST_MINOR);
    if new_enough {
        let user = user.map(|user| format!(", user {user}")).unwrap_or_default();
        subject.ok(format!("Kubernetes {}{user}", server.git_version))
    } else {
        subject.problem(
            format!("Kubernetes {} is older than 1.{OLDEST_MINOR}", server.git_version),
            format!("upgrade the cluster to Kubernetes 1.{OLDEST_MINOR} or later"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn server(major: &str, minor: &str) -> Info {
        let git_version = format!("v{major}.{minor}.2");
        Info { major: major.into(), minor: minor.into(), git_version, ..Info::default() }
    }

    #[test]
    fn versions_before_1_33_are_too_old() {
        for (major, minor, verdict) in [
            ("1", "33", Verdict::Ok),
            ("1", "37+", Verdict::Ok),
            ("1", "32", Verdict::Problem),
            ("1", "9", Verdict::Problem),
            ("1", "", Verdict::Problem),
            ("0", "99", Verdict::Problem),
        ] {
            assert_eq!(version(&Ok(server(major, minor)), None).verdict, verdict, "{major}.{minor}");
        }
        let old = version(&Ok(server("1", "32")), None);
        assert!(old.message.contains("v1.32.2 is older than 1.33"), "{old:?}");
        assert!(old.remedy.unwrap().contains("1.33 or later"));
        assert!(version(&Ok(server("1", "34")), Some("jane")).message.ends_with(", user jane"));
    }

    #[test]
    fn an_unreachable_server_is_a_problem() {
        let finding = version(&Err("connection refused".into()), None);
        assert_eq!(finding.verdict, Verdict::Problem);
        assert!(
            finding.message.contains("connection refused") && finding.remedy.unwrap().contains("KUBECONFIG")
        );
    }
}
