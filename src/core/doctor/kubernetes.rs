//! The API server: whether it responds, and whether it is new enough.

use jiff::{SignedDuration, Timestamp};

use super::Finding;

/// The oldest supported minor version of Kubernetes 1.
pub const OLDEST_MINOR: u32 = 33;
/// Largest accepted difference of clocks. Leases and tokens are valid for longer.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(30);

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
    const WHAT: &str = "API server";
    let server = match server {
        Ok(server) => server,
        Err(why) => {
            return Finding::problem(
                WHAT,
                format!("it can't be reached: {why}"),
                "check KUBECONFIG and its current context; in a pod, the network's way to the API server",
            );
        }
    };
    let digits: String = server.minor.chars().take_while(char::is_ascii_digit).collect();
    let new_enough = server.major == "1" && digits.parse::<u32>().is_ok_and(|minor| minor >= OLDEST_MINOR);
    if new_enough {
        let user = user.map(|user| format!(", asked as {user}")).unwrap_or_default();
        Finding::ok(WHAT, format!("Kubernetes {}{user}", server.version))
    } else {
        Finding::problem(
            WHAT,
            format!("Kubernetes {} is older than 1.{OLDEST_MINOR}", server.version),
            format!("upgrade the cluster to Kubernetes 1.{OLDEST_MINOR} or later"),
        )
    }
}

/// Checks that this machine's clock agrees with the API server's; `None` when the latter isn't
/// known.
pub fn clock(server: &Server, now: Timestamp) -> Option<Finding> {
    const WHAT: &str = "clock";
    let apart = now.duration_since(server.clock?);
    Some(if apart.abs() <= CLOCKS_APART {
        Finding::ok(WHAT, "this machine's clock agrees with the API server's")
    } else {
        Finding::warning(
            WHAT,
            format!("this machine's clock is {}", off(apart, "the API server's")),
            "have both keep time by NTP",
        )
    })
}

/// Formats a difference of clocks, such as `12 s ahead of GitHub's`.
pub fn off(apart: SignedDuration, whose: &str) -> String {
    let seconds = apart.abs().as_secs();
    let side = if apart.is_negative() { "behind" } else { "ahead of" };
    format!("{seconds} s {side} {whose}")
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
        assert!(version(&Ok(server("1", "34")), Some("jane")).message.ends_with("asked as jane"));
    }

    #[test]
    fn a_server_that_does_not_answer_is_a_problem() {
        let finding = version(&Err("connection refused".into()), None);
        assert_eq!(finding.verdict, Verdict::Problem);
        assert!(
            finding.message.contains("connection refused") && finding.remedy.unwrap().contains("KUBECONFIG")
        );
    }

    #[test]
    fn clocks_may_be_half_a_minute_apart() {
        let server = server("1", "33");
        let at = |seconds| server.clock.unwrap() + SignedDuration::from_secs(seconds);
        assert_eq!(clock(&server, at(-30)).unwrap().verdict, Verdict::Ok);
        let late = clock(&server, at(-31)).unwrap();
        assert_eq!(late.verdict, Verdict::Warning);
        assert_eq!(late.message, "this machine's clock is 31 s behind the API server's");
        let early = clock(&server, at(90)).unwrap();
        assert!(
            early.message.contains("90 s ahead of the API server's") && early.remedy.unwrap().contains("NTP")
        );
        assert_eq!(clock(&Server { clock: None, ..server }, Timestamp::UNIX_EPOCH), None);
    }
}
