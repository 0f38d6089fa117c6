//! Leader election of two replicas. The fake API fails on demand, and the time is tokio's paused
//! clock.

use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::adapters::clock::SystemClock;

#[derive(Default)]
struct Api {
    lease: Mutex<Option<(LeaderElectionRecord, u64)>>,
    down: Mutex<bool>,
    /// The write has an effect, but the response is lost.
    mute: Mutex<bool>,
}

impl Api {
    fn holder(&self) -> Option<String> {
        self.lease.lock().unwrap().as_ref().and_then(|(record, _)| record.holder.clone())
    }
}

#[async_trait]
impl Leases for Api {
    async fn read(&self) -> Result<Option<(LeaderElectionRecord, String)>, ClusterError> {
        if *self.down.lock().unwrap() {
            return Err(ClusterError::Unavailable("down".to_owned()));
        }
        let lease = self.lease.lock().unwrap().clone();
        Ok(lease.map(|(record, version)| (record, version.to_string())))
    }

    async fn write(&self, record: &LeaderElectionRecord, seen: Option<&str>) -> Result<String, ClusterError> {
        if *self.down.lock().unwrap() {
            return Err(ClusterError::Unavailable("down".to_owned()));
        }
        let mut lease = self.lease.lock().unwrap();
        if lease.is_none() && seen.is_some() {
            return Err(ClusterError::Refused { code: 404, message: "not found".to_owned() });
        }
        let version = lease.as_ref().map(|(_, version)| *version);
        if version.map(|version| version.to_string()).as_deref() != seen {
            return Err(ClusterError::Conflict("somebody else was faster".to_owned()));
        }
        let version = version.unwrap_or_default() + 1;
        *lease = Some((record.clone(), version));
        if *self.mute.lock().unwrap() {
            return Err(ClusterError::Unavailable("answer lost".to_owned()));
        }
        Ok(version.to_string())
    }
}

fn leader(api: &Arc<Api>, me: &str) -> Leader {
    let leadership = Arc::default();
    Leader::new(Arc::clone(api) as Arc<dyn Leases>, Arc::new(SystemClock), leadership, me.to_owned())
}

#[tokio::test(start_paused = true)]
async fn second_replica_leads_within_twenty_seconds_of_a_crash() {
    let api = Arc::new(Api::default());
    let (mut one, mut two) = (leader(&api, "one"), leader(&api, "two"));
    one.acquire().await;
    assert_eq!(api.holder().as_deref(), Some("one"));
    tokio::select! {
        () = two.acquire() => panic!("both lead"),
        why = one.renew_until_lost() => panic!("lost: {why}"),
        () = sleep(Duration::from_mins(5)) => {}
    }
    // The replica crashes without releasing the Lease.
    drop(one);
    let crashed = Instant::now();
    two.acquire().await;
    let took = crashed.elapsed();
    assert!(took > Duration::from_secs(10) && took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_back_is_taken_at_the_next_look() {
    let api = Arc::new(Api::default());
    let (mut one, mut two) = (leader(&api, "one"), leader(&api, "two"));
    one.acquire().await;
    assert!(timeout(Duration::from_secs(1), two.acquire()).await.is_err());
    one.release().await;
    assert_eq!(api.holder(), None);
    let given_back = Instant::now();
    two.acquire().await;
    assert!(given_back.elapsed() <= Timing::default().retry_period, "{:?}", given_back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_can_not_renew_stops_before_another_begins() {
    let api = Arc::new(Api::default());
    let (mut one, mut two) = (leader(&api, "one"), leader(&api, "two"));
    one.acquire().await;
    assert!(timeout(Duration::from_secs(1), two.acquire()).await.is_err());
    *api.down.lock().unwrap() = true;
    let down = Instant::now();
    let why = one.renew_until_lost().await;
    assert!(why.contains("could not be renewed"), "{why}");
    let stopped = down.elapsed();
    *api.down.lock().unwrap() = false;
    two.acquire().await;
    assert!(stopped < down.elapsed(), "stopped after {stopped:?}, replaced after {:?}", down.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_costs_the_lead_nothing() {
    let api = Arc::new(Api::default());
    let mut one = leader(&api, "one");
    one.acquire().await;
    *api.mute.lock().unwrap() = true;
    assert!(timeout(Duration::from_secs(5), one.renew_until_lost()).await.is_err());
    *api.mute.lock().unwrap() = false;
    assert!(timeout(Duration::from_mins(1), one.renew_until_lost()).await.is_err(), "it was its own write");
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_another_in_the_lease_leads_no_more() {
    let api = Arc::new(Api::default());
    let mut one = leader(&api, "one");
    one.acquire().await;
    api.lease.lock().unwrap().as_mut().unwrap().0.holder = Some("two".to_owned());
    api.lease.lock().unwrap().as_mut().unwrap().1 += 1;
    assert_eq!(one.renew_until_lost().await, "two holds the Lease now");
}

#[tokio::test(start_paused = true)]
async fn interrupted_renewal_does_not_block_the_release() {
    let api = Arc::new(Api::default());
    let mut one = leader(&api, "one");
    one.acquire().await;
    // The write had an effect, and the response was lost.
    api.lease.lock().unwrap().as_mut().unwrap().1 += 1;
    one.release().await;
    assert_eq!(api.holder(), None);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_taken_away_for_good_is_not_made_again() {
    let api = Arc::new(Api::default());
    let mut one = leader(&api, "one");
    one.leadership.drain(true);
    assert!(timeout(Duration::from_mins(1), one.acquire()).await.is_err());
    one.leadership.drain(false);
    one.acquire().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_leads_when_a_teardown_takes_the_lease_away_ends_in_peace() {
    let api = Arc::new(Api::default());
    let (mut one, mut two) = (leader(&api, "one"), leader(&api, "two"));
    one.acquire().await;
    one.leadership.drain(true);
    two.leadership.drain(true);
    *api.lease.lock().unwrap() = None;
    tokio::select! {
        () = two.acquire() => panic!("another leads"),
        why = one.renew_until_lost() => panic!("lost: {why}"),
        () = sleep(Duration::from_mins(5)) => {}
    }
    // The teardown was cancelled, so the replicas elect a leader again.
    one.leadership.drain(false);
    assert_eq!(one.renew_until_lost().await, "the Lease is no longer held by this replica");
}
