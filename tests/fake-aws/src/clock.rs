//! The clock that all services read: real time plus a shift that tests control.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

/// Milliseconds since the Unix epoch, the unit in which the services keep time.
pub(crate) type Millis = i64;

pub(crate) const SECOND: Millis = 1_000;
pub(crate) const HOUR: Millis = 3_600 * SECOND;
pub(crate) const DAY: Millis = 24 * HOUR;

/// Tells the time to all services and wakes those who wait for it.
#[derive(Debug)]
pub(crate) struct Clock {
    mode: Mutex<Mode>,
    wake: Arc<Notify>,
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    /// Runs with the machine's clock, this far ahead of it (or behind, when negative).
    Running { ahead: Millis },
    /// Stands still until a test moves it.
    Frozen { at: Millis },
}

impl Clock {
    pub(crate) fn new(wake: Arc<Notify>) -> Self {
        Self { mode: Mutex::new(Mode::Running { ahead: 0 }), wake }
    }

    /// Returns the fake's present time.
    pub(crate) fn now(&self) -> Millis {
        match *self.mode.lock().unwrap_or_else(PoisonError::into_inner) {
            Mode::Running { ahead } => real_now().saturating_add(ahead),
            Mode::Frozen { at } => at,
        }
    }

    /// Moves the clock forward and wakes every waiter.
    pub(crate) fn advance(&self, by: Duration) {
        let by = millis(by);
        self.change(|mode| match mode {
            Mode::Running { ahead } => Mode::Running { ahead: ahead.saturating_add(by) },
            Mode::Frozen { at } => Mode::Frozen { at: at.saturating_add(by) },
        });
    }

    /// Sets the clock. A running clock goes on running from there.
    pub(crate) fn set(&self, to: Millis) {
        self.change(|mode| match mode {
            Mode::Running { .. } => Mode::Running { ahead: to.saturating_sub(real_now()) },
            Mode::Frozen { .. } => Mode::Frozen { at: to },
        });
    }

    /// Stops the clock where it is.
    pub(crate) fn freeze(&self) {
        let now = self.now();
        self.change(|_| Mode::Frozen { at: now });
    }

    /// Lets a frozen clock run again.
    pub(crate) fn run(&self) {
        let now = self.now();
        self.change(|_| Mode::Running { ahead: now.saturating_sub(real_now()) });
    }

    /// Waits until the fake's time is `until`.
    pub(crate) async fn wait_until(&self, until: Millis) {
        loop {
            let notified = self.wake.notified();
            tokio::pin!(notified);
            // Registered before looking, so that no change of the clock is lost in between.
            notified.as_mut().enable();
            if self.now() >= until {
                return;
            }
            tokio::select! {
                () = &mut notified => {}
                () = tokio::time::sleep(self.real_pause(until)) => {}
            }
        }
    }

    /// Tells how long to sleep in real time until the fake's time is `until`.
    pub(crate) fn real_pause(&self, until: Millis) -> Duration {
        match *self.mode.lock().unwrap_or_else(PoisonError::into_inner) {
            Mode::Running { ahead } => {
                let left = until.saturating_sub(real_now().saturating_add(ahead));
                // Never nothing, so that a waiter that is early by a fraction does not spin.
                Duration::from_millis(u64::try_from(left).unwrap_or(0).max(1))
            }
            Mode::Frozen { .. } => Duration::from_hours(1),
        }
    }

    fn change(&self, change: impl FnOnce(Mode) -> Mode) {
        {
            let mut mode = self.mode.lock().unwrap_or_else(PoisonError::into_inner);
            *mode = change(*mode);
        }
        self.wake.notify_waiters();
    }
}

/// Returns the machine's time.
pub(crate) fn real_now() -> Millis {
    Timestamp::now().as_millisecond()
}

/// Converts a duration, at most the largest representable one.
pub(crate) fn millis(duration: Duration) -> Millis {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Converts to the public time type. Times outside its range become its nearest end.
pub(crate) fn timestamp(at: Millis) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or(if at < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// Formats as `2026-11-23T10:20:30Z`.
pub(crate) fn iso_seconds(at: Millis) -> String {
    timestamp(at).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Formats as `2026-11-23T10:20:30.456Z`.
pub(crate) fn iso_millis(at: Millis) -> String {
    timestamp(at).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Formats as an HTTP date, `Mon, 23 Nov 2026 10:20:30 GMT`.
pub(crate) fn http_date(at: Millis) -> String {
    timestamp(at).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::new(Arc::new(Notify::new()))
    }

    #[test]
    fn a_frozen_clock_moves_only_when_told() {
        let clock = clock();
        clock.freeze();
        clock.set(1_000);
        assert_eq!(clock.now(), 1_000);
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now(), 3_000);
        clock.run();
        assert!(clock.now() >= 3_000);
    }

    #[test]
    fn times_are_written_as_aws_writes_them() {
        let at = 1_795_429_230_456;
        assert_eq!(iso_seconds(at), "2026-11-23T10:20:30Z");
        assert_eq!(iso_millis(at), "2026-11-23T10:20:30.456Z");
        assert_eq!(http_date(at), "Mon, 23 Nov 2026 10:20:30 GMT");
    }
}
