//! What is made anew in each period of the clock, such as keys. Gateways whose clocks agree have the same in the same period.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;

/// What the current period has. It is made when it is asked for first.
#[derive(Debug)]
pub(crate) struct ByPeriod<T> {
    length: Duration,
    current: ArcSwapOption<(u64, Arc<T>)>,
}

impl<T> ByPeriod<T> {
    /// Periods of this length, of which the first began in 1970.
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            length,
            current: ArcSwapOption::empty(),
        }
    }

    /// What the period of this time has. `make` makes it of the period's number. A clock that stands before 1970 counts as 1970.
    ///
    /// # Errors
    ///
    /// Returns the error of `make`.
    pub(crate) fn at<E>(&self, now: SystemTime, make: impl FnOnce(u64) -> Result<T, E>) -> Result<Arc<T>, E> {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let number = since.as_secs() / self.length.as_secs().max(1);
        if let Some((known, made)) = self.current.load().as_deref()
            && *known == number
        {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(make(number)?);
        self.current.store(Some(Arc::new((number, Arc::clone(&made)))));
        Ok(made)
    }
}

/// The numbers of a period, the one before it and the one after it. Clocks of gateways differ.
pub(crate) fn around(number: u64) -> [u64; 3] {
    [number, number.saturating_sub(1), number + 1]
}
