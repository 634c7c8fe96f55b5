//! How fast records come, and how to stop.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    time::{Duration, Instant},
};

use thiserror::Error;

use super::random::Random;

/// The speed of all pods together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as they are taken.
    Unlimited,
    /// Evenly, so many records a second.
    Rate(Rate),
    /// In bursts with pauses between.
    Bursts(Bursts),
}

/// A number of records a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(f64);

/// Bursts of records with pauses, both of random length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bursts {
    sizes: (u64, u64),
    pauses: (Duration, Duration),
}

/// A speed that cannot be kept.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum InvalidPace {
    /// The rate is not a positive, finite number.
    #[error("the rate {0} is not a positive number of records a second")]
    Rate(f64),
    /// The least burst is 0 or above the greatest.
    #[error("bursts of {0} to {1} records are not possible")]
    BurstSize(u64, u64),
    /// The shortest pause is negative, endless, or above the longest.
    #[error("pauses of {0} to {1} seconds are not possible")]
    Pause(f64, f64),
}

impl Rate {
    /// Takes a positive number of records a second.
    pub fn per_second(records: f64) -> Result<Self, InvalidPace> {
        // A pause of a year is as good as none at all.
        if records.is_finite() && records > 1e-7 {
            Ok(Self(records))
        } else {
            Err(InvalidPace::Rate(records))
        }
    }
}

impl Bursts {
    /// Takes the least and greatest number of records, and the shortest and longest pause in seconds.
    pub fn between(sizes: (u64, u64), pauses: (f64, f64)) -> Result<Self, InvalidPace> {
        if sizes.0 == 0 || sizes.0 > sizes.1 {
            return Err(InvalidPace::BurstSize(sizes.0, sizes.1));
        }
        let seconds = |pause: f64| Duration::try_from_secs_f64(pause).ok();
        match (seconds(pauses.0), seconds(pauses.1)) {
            (Some(shortest), Some(longest)) if shortest <= longest => {
                Ok(Self { sizes, pauses: (shortest, longest) })
            }
            _ => Err(InvalidPace::Pause(pauses.0, pauses.1)),
        }
    }
}

/// Hears that the work should end: the other end of the channel is dropped.
#[derive(Debug)]
pub struct Stop(pub Receiver<()>);

impl Stop {
    fn requested(&self) -> bool {
        !matches!(self.0.try_recv(), Err(TryRecvError::Empty))
    }

    /// Waits, and returns whether the wait was cut short.
    fn wait(&self, pause: Duration) -> bool {
        !matches!(self.0.recv_timeout(pause), Err(RecvTimeoutError::Timeout))
    }
}

/// What to do before the next record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Write it now.
    Now,
    /// What was written so far should be seen first: there will be a pause.
    Pause(Duration),
    /// No more bursts are wanted.
    End,
}

/// Keeps the pace.
#[derive(Debug)]
pub(crate) struct Pacer {
    pace: Pace,
    bursts_left: Option<u64>,
    records_left: u64,
    random: Random,
    started: Instant,
    written: u64,
}

impl Pacer {
    /// Starts now. `bursts` ends the work after so many bursts; `None` never does.
    pub(crate) fn new(pace: Pace, bursts: Option<u64>, seed: u64) -> Self {
        Self {
            pace,
            bursts_left: bursts,
            records_left: 0,
            random: Random::named(seed, "pace"),
            started: Instant::now(),
            written: 0,
        }
    }

    /// Decides before each record.
    pub(crate) fn turn(&mut self) -> Turn {
        match self.pace {
            Pace::Unlimited => Turn::Now,
            Pace::Rate(rate) => self.rate_turn(rate),
            Pace::Bursts(bursts) => self.burst_turn(bursts),
        }
    }

    fn rate_turn(&mut self, Rate(rate): Rate) -> Turn {
        /// Shorter pauses are collected: a timer cannot keep them.
        const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
        #[expect(clippy::cast_precision_loss, reason = "2^53 records are never written")]
        let due = Duration::try_from_secs_f64(self.written as f64 / rate).unwrap_or(Duration::MAX);
        let early = due.saturating_sub(self.started.elapsed());
        if early > SHORTEST_PAUSE {
            return Turn::Pause(early);
        }
        self.written += 1;
        Turn::Now
    }

    fn burst_turn(&mut self, Bursts { sizes, pauses }: Bursts) -> Turn {
        if self.records_left > 0 {
            self.records_left -= 1;
            return Turn::Now;
        }
        match &mut self.bursts_left {
            Some(0) => return Turn::End,
            Some(left) => *left -= 1,
            None => {}
        }
        self.records_left = self.random.between(sizes.0, sizes.1);
        if self.written == 0 {
            self.written = 1;
            self.records_left -= 1;
            return Turn::Now;
        }
        let milliseconds = |pause: Duration| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        Turn::Pause(Duration::from_millis(
            self.random.between(milliseconds(pauses.0), milliseconds(pauses.1)),
        ))
    }
}

/// Why a pause ended or no record follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Write a record.
    Record,
    /// All bursts were written.
    Done,
    /// Somebody asked for the end.
    Stopped,
}

impl Pacer {
    /// Waits until the next record is due. `before_pause` runs before each wait.
    pub(crate) fn next<E>(
        &mut self,
        stop: &Stop,
        mut before_pause: impl FnMut() -> Result<(), E>,
    ) -> Result<Next, E> {
        loop {
            if stop.requested() {
                return Ok(Next::Stopped);
            }
            match self.turn() {
                Turn::Now => return Ok(Next::Record),
                Turn::End => return Ok(Next::Done),
                Turn::Pause(pause) => {
                    before_pause()?;
                    if stop.wait(pause) {
                        return Ok(Next::Stopped);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::mpsc::channel};

    use super::*;

    fn turns(pace: Pace, bursts: Option<u64>, count: usize) -> Vec<Turn> {
        let mut pacer = Pacer::new(pace, bursts, 1);
        (0..count).map(|_| pacer.turn()).collect()
    }

    #[test]
    fn bursts_have_their_sizes_and_their_end() {
        let bursts = Pace::Bursts(Bursts::between((2, 2), (3.0, 3.0)).unwrap());
        let pause = Turn::Pause(Duration::from_secs(3));
        use Turn::{End, Now};
        assert_eq!(
            turns(bursts, Some(3), 10),
            [Now, Now, pause, Now, Now, pause, Now, Now, End, End]
        );
        assert!(!turns(bursts, None, 100).contains(&End));
    }

    #[test]
    fn a_rate_pauses_and_no_limit_never_does() {
        assert!(turns(Pace::Unlimited, None, 50).iter().all(|turn| *turn == Turn::Now));
        let slow = Pace::Rate(Rate::per_second(0.001).unwrap());
        let seen = turns(slow, None, 3);
        assert_eq!(seen[0], Turn::Now);
        assert!(
            matches!(seen[1], Turn::Pause(pause) if pause > Duration::from_secs(900)),
            "{seen:?}"
        );
    }

    #[test]
    fn a_stop_ends_a_pause_at_once() {
        let (sender, receiver) = channel();
        let mut pacer = Pacer::new(Pace::Rate(Rate::per_second(0.001).unwrap()), None, 1);
        let stop = Stop(receiver);
        let mut pauses = 0;
        assert_eq!(pacer.next(&stop, || Ok::<(), Infallible>(())), Ok(Next::Record));
        let ended = pacer.next(&stop, || {
            pauses += 1;
            sender.send(()).unwrap();
            Ok::<(), Infallible>(())
        });
        assert_eq!((ended, pauses), (Ok(Next::Stopped), 1));
    }

    #[test]
    fn impossible_paces_are_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Rate::per_second(rate).is_err(), "{rate}");
        }
        assert_eq!(Bursts::between((0, 5), (0.0, 1.0)), Err(InvalidPace::BurstSize(0, 5)));
        assert_eq!(Bursts::between((1, 5), (2.0, 1.0)), Err(InvalidPace::Pause(2.0, 1.0)));
        assert_eq!(Bursts::between((1, 5), (-1.0, 1.0)), Err(InvalidPace::Pause(-1.0, 1.0)));
    }
}
