//! Prints an error with its causes, on one line.

use std::{error::Error, fmt};

/// Displays an error, then each cause after a colon.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Chain;
    use crate::ports::{Fault, FaultClass};

    #[test]
    fn causes_follow_the_error() {
        let fault = Fault::new(FaultClass::Missing, "GetObject").with_source("gone".to_owned());
        assert_eq!(Chain(&fault).to_string(), "GetObject failed: gone");
    }
}
