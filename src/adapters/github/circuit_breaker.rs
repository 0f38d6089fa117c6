//! A circuit breaker: decides whether to send a request to a server that doesn't answer. Each such
//! request takes as long as its timeout, so many of them would use up the places of all other
//! requests.

/// Number of consecutive unanswered requests that opens the circuit.
const MOST_UNANSWERED: u32 = 3;

/// Counts consecutive unanswered requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct CircuitBreaker {
    unanswered: u32,
    /// Whether a probe is in flight.
    is_probing: bool,
}

/// The decision on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Send the request.
    Open,
    /// Send the request as the only one, to find out whether the server answers again.
    /// [`CircuitBreaker::note`] must be called with its result, or no other probe is sent.
    Probe,
    /// Don't send the request: the server doesn't answer, and a probe is in flight.
    Refused,
}

impl CircuitBreaker {
    /// Decides whether a request may be sent now.
    pub fn admit(&mut self) -> Admission {
        if self.unanswered < MOST_UNANSWERED {
            return Admission::Open;
        }
        if self.is_probing {
            return Admission::Refused;
        }
        self.is_probing = true;
        Admission::Probe
    }

    /// Records the result of a request. `None` means that it was cancelled or never sent.
    pub fn note(&mut self, admission: Admission, answered: Option<bool>) {
        if admission == Admission::Probe {
            self.is_probing = false;
        }
        match answered {
            Some(true) => self.unanswered = 0,
            Some(false) => self.unanswered = self.unanswered.saturating_add(1),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unanswering_server_gets_requests_in_sequence() {
        let mut breaker = CircuitBreaker::default();
        let first: Vec<_> = (0..10).map(|_| breaker.admit()).collect();
        assert_eq!(first, [Admission::Open; 10]);
        for admission in first {
            breaker.note(admission, Some(false));
        }
        assert_eq!(breaker.admit(), Admission::Probe);
        assert_eq!(breaker.admit(), Admission::Refused);
        // A request from before the circuit opened has ended, while the probe is still in flight.
        breaker.note(Admission::Open, Some(false));
        assert_eq!(breaker.admit(), Admission::Refused);
        breaker.note(Admission::Probe, Some(false));
        assert_eq!(breaker.admit(), Admission::Probe);
        breaker.note(Admission::Probe, None);
        assert_eq!(breaker.admit(), Admission::Probe, "the previous probe was cancelled");
        breaker.note(Admission::Probe, Some(true));
        assert_eq!([breaker.admit(), breaker.admit()], [Admission::Open; 2]);
    }

    #[test]
    fn an_answer_between_two_failures_keeps_the_circuit_closed() {
        let mut breaker = CircuitBreaker::default();
        for answered in [false, false, true, false, false, true] {
            assert_eq!(breaker.admit(), Admission::Open);
            breaker.note(Admission::Open, Some(answered));
        }
    }
}
