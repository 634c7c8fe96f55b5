//! DynamoDB's numbers: decimals of up to 38 digits.
//! See <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>.

use std::cmp::Ordering;
use std::fmt;

/// The largest number of significant digits.
const MAX_DIGITS: usize = 38;

/// The exponents of the largest and of the smallest magnitude.
const MAX_MAGNITUDE: i32 = 125;
const MIN_MAGNITUDE: i32 = -130;

/// A decimal without trailing zeros: `mantissa * 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Decimal {
    mantissa: i128,
    exponent: i32,
}

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberError {
    NotANumber,
    TooManyDigits,
    Overflow,
    Underflow,
}

impl NumberError {
    pub(super) fn message(self, text: &str) -> String {
        match self {
            Self::NotANumber if text.is_empty() => {
                "The parameter cannot be converted to a numeric value".to_owned()
            }
            Self::NotANumber => format!("The parameter cannot be converted to a numeric value: {text}"),
            Self::TooManyDigits => {
                "Attempting to store more than 38 significant digits in a Number".to_owned()
            }
            Self::Overflow => "Number overflow. Attempting to store a number with magnitude larger than supported range".to_owned(),
            Self::Underflow => "Number underflow. Attempting to store a number with magnitude smaller than supported range".to_owned(),
        }
    }
}

impl Decimal {
    pub(super) fn parse(text: &str) -> Result<Self, NumberError> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => {
                (number, exponent.parse::<i32>().map_err(|_| NumberError::NotANumber)?)
            }
            None => (text, 0),
        };
        let (negative, digits) = match number.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty()
            || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
        {
            return Err(NumberError::NotANumber);
        }
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0');
        let trimmed = significant.trim_end_matches('0');
        if trimmed.is_empty() {
            return Ok(Self { mantissa: 0, exponent: 0 });
        }
        if trimmed.len() > MAX_DIGITS {
            return Err(NumberError::TooManyDigits);
        }
        let shift = significant.len() - trimmed.len();
        let places = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
        let exponent = exponent
            .saturating_sub(places)
            .saturating_add(i32::try_from(shift).unwrap_or(i32::MAX));
        let mantissa: i128 = trimmed.parse().map_err(|_| NumberError::NotANumber)?;
        Self { mantissa: if negative { -mantissa } else { mantissa }, exponent }.checked()
    }

    fn checked(self) -> Result<Self, NumberError> {
        match self.magnitude() {
            _ if self.mantissa == 0 => Ok(self),
            magnitude if magnitude > MAX_MAGNITUDE => Err(NumberError::Overflow),
            magnitude if magnitude < MIN_MAGNITUDE => Err(NumberError::Underflow),
            _ => Ok(self),
        }
    }

    /// Returns the power of ten of the first digit.
    fn magnitude(self) -> i32 {
        let digits = self.mantissa.unsigned_abs().checked_ilog10().unwrap_or(0);
        self.exponent.saturating_add(i32::try_from(digits).unwrap_or(0))
    }

    /// Returns the sum.
    pub(super) fn plus(self, other: Self) -> Result<Self, NumberError> {
        let exponent = self.exponent.min(other.exponent);
        let aligned = |number: Self| {
            let shift = u32::try_from(number.exponent - exponent).ok()?;
            number.mantissa.checked_mul(10_i128.checked_pow(shift)?)
        };
        let (Some(first), Some(second)) = (aligned(self), aligned(other)) else {
            return Err(NumberError::TooManyDigits);
        };
        let sum = first.checked_add(second).ok_or(NumberError::TooManyDigits)?;
        Self { mantissa: sum, exponent }.normal()
    }

    pub(super) fn minus(self, other: Self) -> Result<Self, NumberError> {
        self.plus(Self { mantissa: -other.mantissa, exponent: other.exponent })
    }

    fn normal(mut self) -> Result<Self, NumberError> {
        if self.mantissa == 0 {
            return Ok(Self { mantissa: 0, exponent: 0 });
        }
        while self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.exponent += 1;
        }
        if self.mantissa.unsigned_abs() >= 10_u128.pow(38) {
            return Err(NumberError::TooManyDigits);
        }
        self.checked()
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| number.mantissa.signum();
        if sign(self) != sign(other) || self.mantissa == 0 {
            return sign(self).cmp(&sign(other));
        }
        let by_size = self.magnitude().cmp(&other.magnitude()).then_with(|| {
            // With the same magnitude, digits compare as texts do.
            let digits = |number: &Self| number.mantissa.unsigned_abs().to_string();
            digits(self).cmp(&digits(other))
        });
        if self.mantissa < 0 { by_size.reverse() } else { by_size }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = self.mantissa.unsigned_abs().to_string();
        let places = usize::try_from(self.exponent.unsigned_abs()).unwrap_or(0);
        if self.exponent >= 0 {
            return write!(formatter, "{sign}{digits}{}", "0".repeat(places));
        }
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        write!(formatter, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_their_plain_form() {
        let rows = [
            ("0", "0"),
            ("-0.0", "0"),
            ("007", "7"),
            ("1.50", "1.5"),
            ("1e2", "100"),
            ("1.5E-3", "0.0015"),
            ("-12.340", "-12.34"),
            ("+5", "5"),
            (".5", "0.5"),
            ("1000", "1000"),
        ];
        for (text, expected) in rows {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let long = "1".repeat(39);
        let rows = [
            ("", NumberError::NotANumber),
            ("x", NumberError::NotANumber),
            ("1.2.3", NumberError::NotANumber),
            (" 1", NumberError::NotANumber),
            (long.as_str(), NumberError::TooManyDigits),
            ("1e126", NumberError::Overflow),
            ("1e-131", NumberError::Underflow),
        ];
        for (text, expected) in rows {
            assert_eq!(Decimal::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn numbers_are_ordered_and_added() {
        let sorted = ["-100", "-99.5", "-1", "0", "0.1", "0.11", "2", "10", "1e20"];
        let numbers: Vec<Decimal> =
            sorted.iter().map(|text| Decimal::parse(text).unwrap()).collect();
        assert!(numbers.is_sorted());
        let sum = |first: &str, second: &str| {
            Decimal::parse(first)
                .unwrap()
                .plus(Decimal::parse(second).unwrap())
                .unwrap()
                .to_string()
        };
        assert_eq!(sum("0.1", "0.2"), "0.3");
        assert_eq!(sum("99", "1"), "100");
        assert_eq!(sum("5", "-5"), "0");
    }
}
