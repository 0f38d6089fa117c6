//! The API server: whether it responds, and whether it is new enough.

use jiff::Timestamp;

use super::{Finding, Subject};

/// The oldest supported minor version of Kubernetes 1.
pub const OLDEST_MINOR: u32 = 33;

/// Version and time of the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Major version, such as `1`.
    pub major: String,
    /// Minor version, such as `33` or `33+`.
    pub minor: String,
    /// Full version, such as `v1.33.4`.
    pub version: String,
    /// Its time, if the response contains it.
    pub clock: Option<Timestamp>,
}

/// Checks that the API server responds and is new enough. `user` is the user of the request.
pub fn version(server: &Result<Server, String>, user: Option<&str>) -> Finding {
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
        subject.ok(format!("Kubernetes {}{user}", server.version))
    } else {
        subject.problem(
            format!("Kubernetes {} is older than 1.{OLDEST_MINOR}", server.version),
            format!("upgrade the cluster to Kubernetes 1.{OLDEST_MINOR} or later"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn server(major: &str, minor: &str) -> Server {
        let clock = Some(Timestamp::from_second(1_780_000_000).unwrap());
        Server { major: major.into(), minor: minor.into(), version: format!("v{major}.{minor}.2"), clock }
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
