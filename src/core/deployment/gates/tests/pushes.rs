//! Tests of several branches that deploy to one environment, with a small model of GitHub, of
//! webhooks and sweeps, and of how the controllers act on the decisions.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use serde_json::json;

use super::super::pushes::{self, Push, newest_first};
use super::World;
use crate::api::{
    ANNOTATION_PULL_REQUEST_UPDATED, ConditionStatus, DeploymentRequest, DeploymentRequestSpec,
};
use crate::core::conditions;
use crate::core::deployment::gates::supersession::{by_branch, by_request};
use crate::core::forge::Branch;

const BRANCHES: [&str; 3] = ["main", "release/9", "release/10"];

fn sha(number: usize) -> String {
    number.to_string().repeat(40)
}

/// The webhook of a push.
#[derive(Clone, Debug)]
struct Delivery {
    branch: usize,
    sha: String,
    pushed_at: Timestamp,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A branch moves to a commit. The flag says whether the webhook is lost.
    Push {
        branch: usize,
        sha: usize,
        lost: bool,
    },
    /// The next webhook arrives.
    Deliver,
    /// A webhook that already arrived is delivered again.
    Redeliver(usize),
    Sweep,
    Reconcile(usize),
    Pass(i64),
}

/// Steps in which every webhook arrives in order, so that the newest push is known.
fn ordered_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, 0..4_usize).prop_map(|(branch, sha)| Step::Push { branch, sha, lost: false }),
        4 => Just(Step::Deliver),
        1 => (0..20_usize).prop_map(Step::Redeliver),
        1 => Just(Step::Sweep),
        6 => (0..12_usize).prop_map(Step::Reconcile),
        2 => (1..1_500_i64).prop_map(Step::Pass),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => ordered_step(),
        1 => (0..3_usize, 0..4_usize).prop_map(|(branch, sha)| Step::Push { branch, sha, lost: true }),
    ]
}

struct Model {
    now: Timestamp,
    heads: BTreeMap<usize, String>,
    waiting: Vec<Delivery>,
    delivered: Vec<Delivery>,
    requests: Vec<DeploymentRequest>,
    /// Deployed commits, in the order of their deployments.
    deployments: Vec<String>,
    pushes: usize,
    last_push: Option<String>,
    /// Number of times that the ingest wrote a request.
    writes: usize,
    fails: bool,
}

impl Model {
    fn new(fails: bool) -> Self {
        Self {
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            heads: BTreeMap::new(),
            waiting: Vec::new(),
            delivered: Vec::new(),
            requests: Vec::new(),
            deployments: Vec::new(),
            pushes: 0,
            last_push: None,
            writes: 0,
            fails,
        }
    }

    fn step(&mut self, step: Step) {
        self.now += SignedDuration::from_millis(1);
        match step {
            Step::Push { branch, sha, lost } => self.push(branch, sha, lost),
            Step::Deliver => {
                if !self.waiting.is_empty() {
                    let delivery = self.waiting.remove(0);
                    self.take_in(delivery.branch, &delivery.sha, Some(delivery.pushed_at));
                    self.delivered.push(delivery);
                }
            }
            Step::Redeliver(index) => {
                if let Some(delivery) = self.delivered.get(index).cloned() {
                    self.take_in(delivery.branch, &delivery.sha, Some(delivery.pushed_at));
                }
            }
            Step::Sweep => self.sweep(),
            Step::Reconcile(index) => {
                if !self.requests.is_empty() {
                    self.reconcile(index % self.requests.len());
                }
            }
            Step::Pass(milliseconds) => self.now += SignedDuration::from_millis(milliseconds),
        }
    }

    fn push(&mut self, branch: usize, number: usize, lost: bool) {
        let commit = sha(number);
        if self.heads.get(&branch) == Some(&commit) {
            return;
        }
        self.heads.insert(branch, commit.clone());
        self.pushes += 1;
        self.last_push = Some(commit.clone());
        if !lost {
            let pushed_at = Timestamp::from_second(self.now.as_second()).unwrap();
            self.waiting.push(Delivery { branch, sha: commit, pushed_at });
        }
    }

    fn sweep(&mut self) {
        let heads: Vec<Branch> = self
            .heads
            .iter()
            .map(|(branch, sha)| Branch { name: BRANCHES[*branch].to_owned(), sha: sha.clone() })
            .collect();
        let now = self.now;
        for (place, head) in newest_first(&heads).into_iter().enumerate() {
            self.now = now - SignedDuration::from_micros(i64::try_from(place).unwrap());
            let branch = BRANCHES.iter().position(|name| *name == head.name).unwrap();
            self.take_in(branch, &head.sha, None);
        }
        self.now = now;
    }

    /// Handles a push as the ingest does.
    fn take_in(&mut self, branch: usize, sha: &str, pushed_at: Option<Timestamp>) {
        let spec = DeploymentRequestSpec {
            sha: sha.to_owned(),
            requested_by: serde_json::from_value(json!({"origin": "Push", "branch": BRANCHES[branch]}))
                .unwrap(),
            ..World::new(&json!({})).request
        };
        let push = Push::new(pushed_at, self.now);
        let all: Vec<&DeploymentRequest> = self.requests.iter().collect();
        let note = |record| Some(BTreeMap::from([(ANNOTATION_PULL_REQUEST_UPDATED.to_owned(), record)]));
        if let Some(known) = pushes::known("team", &spec, &all) {
            let Some(record) = pushes::next_record(known, push, pushed_at.is_some(), &all) else { return };
            let uid = known.metadata.uid.clone();
            let known = self.requests.iter_mut().find(|request| request.metadata.uid == uid).unwrap();
            known.metadata.annotations = note(record);
        } else {
            let mut request = DeploymentRequest::new(&format!("{}-{branch}", &sha[..1]), spec);
            request.metadata.namespace = Some("team".to_owned());
            request.metadata.uid = Some(format!("uid-{}", self.requests.len()));
            request.metadata.creation_timestamp = Some(Time(self.now));
            request.metadata.annotations = note(push.record());
            self.requests.push(request);
        }
        self.writes += 1;
    }

    /// Reconciles a request as the controller does when all gates are open.
    fn reconcile(&mut self, index: usize) {
        let request = &self.requests[index];
        let record = request.metadata.annotations.as_ref().unwrap()[ANNOTATION_PULL_REQUEST_UPDATED].clone();
        let status = request.status.as_ref();
        let reason = status.map(|status| status.conditions[0].reason.clone());
        let ended = matches!(reason.as_deref(), Some("Succeeded" | "Superseded"));
        if ended && status.and_then(|status| status.updated_at.as_ref()) == Some(&record) {
            return;
        }
        let all: Vec<&DeploymentRequest> = self.requests.iter().collect();
        let branch =
            BRANCHES.iter().position(|name| Some(*name) == request.spec.requested_by.branch.as_deref());
        let head =
            self.heads.get(&branch.unwrap()).map(|sha| Branch { name: String::new(), sha: sha.clone() });
        let superseded = by_branch(&request.spec, head.as_ref());
        let is_head = superseded.is_none();
        let created = status.and_then(|status| status.deployment_id);
        let (reruns, ran) = status.map_or((0, None), |status| (status.reruns, status.pushed_at.clone()));
        let is_due = created.is_none_or(|_| is_head && pushes::is_to_run_again(request, &all));
        let failed = if self.fails { "DeploymentFailed" } else { "Succeeded" };
        let gives_way =
            created.is_none() && superseded.or_else(|| by_request(request, all.iter().copied())).is_some();
        let (reason, id, reruns, ran) = if gives_way {
            ("Superseded", None, reruns, ran)
        } else if let Some(id) = created.filter(|_| !is_due).or_else(|| pushes::shared(request, &all)) {
            (failed, Some(id), reruns, if is_head { Some(record.clone()) } else { ran })
        } else {
            self.deployments.push(request.spec.sha.clone());
            let id = i64::try_from(self.deployments.len()).unwrap();
            (failed, Some(id), reruns + i64::from(created.is_some()), Some(record.clone()))
        };
        let mut list = Vec::new();
        conditions::set(&mut list, conditions::READY, ConditionStatus::False, reason, "", 1, self.now);
        let status = json!({"observedGeneration": 1, "conditions": list, "deploymentId": id, "reruns": reruns,
            "pushedAt": ran, "updatedAt": record});
        self.requests[index].status = Some(serde_json::from_value(status).unwrap());
    }

    /// Delivers everything and reconciles until nothing changes.
    fn settle(&mut self) {
        while !self.waiting.is_empty() {
            self.step(Step::Deliver);
        }
        for _ in 0..3 {
            self.now += SignedDuration::from_secs(60);
            self.sweep();
            for _ in 0..3 {
                (0..self.requests.len()).for_each(|index| self.reconcile(index));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// With lost webhooks, redelivered webhooks, sweeps at any time and failures, there are no more
    /// deployments than pushes, and none without a push.
    #[test]
    fn deployments_are_no_more_than_pushes(
        steps in prop::collection::vec(any_step(), 1..60),
        fails: bool,
        apart: bool,
    ) {
        let mut model = Model::new(fails);
        for step in steps {
            if apart && matches!(step, Step::Push { .. }) {
                model.step(Step::Pass(1_000));
            }
            model.step(step);
        }
        model.settle();
        prop_assert!(model.deployments.len() <= model.pushes, "{:?} for {} pushes", model.deployments, model.pushes);
        let (deployed, writes) = (model.deployments.clone(), model.writes);
        for index in 0..model.delivered.len() {
            model.step(Step::Redeliver(index));
        }
        prop_assert_eq!(model.writes, writes, "a delivery that is sent again writes nothing");
        model.settle();
        prop_assert_eq!(&model.deployments, &deployed, "deployed without a push");
        prop_assert_eq!(model.writes, writes, "written without a push");
        let live = model.deployments.last();
        prop_assert!(live.is_none_or(|live| model.heads.values().any(|head| head == live)), "{:?}", model.heads);
    }

    /// When every webhook arrives in order, the newest push is deployed in the end. GitHub's times
    /// are whole seconds, which is enough to order the pushes to one branch.
    #[test]
    fn the_newest_push_is_deployed(steps in prop::collection::vec(ordered_step(), 1..60), fails: bool) {
        let mut model = Model::new(fails);
        for step in steps {
            if matches!(step, Step::Push { .. }) {
                model.step(Step::Pass(1_000));
            }
            // GitHub doesn't tell a sweep which branch was pushed to last.
            if !matches!(step, Step::Sweep) || model.waiting.is_empty() {
                model.step(step);
            }
        }
        model.settle();
        prop_assert!(model.deployments.len() <= model.pushes);
        prop_assert_eq!(model.deployments.last(), model.last_push.as_ref());
    }
}

#[test]
fn two_branches_are_each_deployed_once() {
    for fails in [false, true] {
        let mut model = Model::new(fails);
        model.push(0, 0, false);
        model.settle();
        model.push(1, 1, false);
        for _ in 0..20 {
            model.settle();
        }
        assert_eq!(model.deployments, [sha(0), sha(1)], "fails: {fails}");
    }
}

#[test]
fn of_the_heads_that_a_sweep_finds_at_once_the_last_by_name_is_deployed() {
    let mut model = Model::new(false);
    for (branch, commit) in [(2, 0), (0, 1), (1, 2)] {
        model.push(branch, commit, true);
    }
    model.settle();
    assert_eq!(model.deployments, [sha(0)], "release/10, and none of the others");
    let branches = ["main", "a", "release/9", "release/10", "release/010", "v1.2-rc", "v1.10"]
        .map(|name| Branch { name: name.to_owned(), sha: String::new() });
    let names: Vec<&str> = newest_first(&branches).iter().map(|branch| branch.name.as_str()).collect();
    assert_eq!(names, ["v1.10", "v1.2-rc", "release/10", "release/010", "release/9", "main", "a"]);
}

#[test]
fn a_branch_at_a_commit_that_is_deployed_leads_to_no_other_deployment() {
    let mut model = Model::new(false);
    model.push(0, 0, false);
    model.settle();
    model.push(1, 0, false);
    model.settle();
    assert_eq!(model.deployments, [sha(0)]);
    // After another branch was deployed, a branch that did not move isn't deployed again.
    model.push(0, 1, false);
    model.settle();
    assert_eq!(model.deployments, [sha(0), sha(1)]);
    model.push(2, 0, false);
    model.settle();
    assert_eq!(model.deployments, [sha(0), sha(1), sha(0)], "a push of another branch to it");
}

#[test]
fn a_push_back_is_deployed_though_the_commit_in_between_was_not() {
    let mut model = Model::new(false);
    model.push(0, 0, false);
    model.settle();
    model.push(1, 1, false);
    model.settle();
    model.push(0, 2, false);
    model.step(Step::Deliver);
    model.now += SignedDuration::from_secs(1);
    model.push(0, 0, false);
    model.settle();
    assert_eq!(model.deployments, [sha(0), sha(1), sha(0)]);
}

#[test]
fn late_delivery_of_an_old_push_stays_old() {
    let mut model = Model::new(false);
    model.push(1, 1, false);
    let late = model.waiting.remove(0);
    model.now += SignedDuration::from_secs(5);
    model.push(0, 0, false);
    model.settle();
    let before = model.deployments.clone();
    model.waiting.push(late);
    model.settle();
    assert_eq!(model.deployments, before);
}
