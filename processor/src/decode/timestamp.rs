//! Instants in log records: RFC 3339 with its usual variants, and Unix time in any unit.
//!
//! Instants are milliseconds since the Unix epoch, cut off and not rounded. CloudWatch Logs takes
//! none before 1970, and none after the year 9999 can be written down, so there is no other.

use super::json;

/// Where the timestamp of a log event comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampSource {
    /// A field of the record.
    Record,
    /// The caller's fallback, because the record has no timestamp field.
    FallbackMissing,
    /// The caller's fallback, because the record's timestamp field says no usable instant.
    FallbackUnusable,
}

/// What a field of a record says about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// An instant.
    At(i64),
    /// Nothing: there is no field, or it is null.
    Missing,
    /// Something that is not a usable instant.
    Unusable,
}

/// The last millisecond of the year 9999.
const LAST: u128 = 253_402_300_799_999;

const MS_PER_SECOND: i64 = 1000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Reads an instant from a valid JSON value.
pub(super) fn parse_json(value: &str) -> Found {
    let instant = match value.as_bytes() {
        b"null" => return Found::Missing,
        [b'"', body @ .., b'"'] => parse_body(body),
        [b'-' | b'0'..=b'9', ..] => parse_number(value.as_bytes()),
        _ => None,
    };
    instant.map_or(Found::Unusable, Found::At)
}

/// Reads an instant from the inside of a JSON string.
pub(super) fn parse_body(body: &[u8]) -> Option<i64> {
    parse_common(body).or_else(|| parse_text(&json::text(str::from_utf8(body).ok()?)))
}

/// Reads an instant in any form that has one meaning only.
///
/// These are RFC 3339; the same with a space instead of `T`, a comma instead of the point, without
/// the colon or the minutes in the offset, without seconds, without a time, with `24:00` or a leap
/// second; and Unix time with exactly the 10, 13, 16 or 19 digits that seconds to nanoseconds have
/// from 2001 to 2286. A text without offset is in UTC. White space around it does not matter.
fn parse_text(text: &str) -> Option<i64> {
    let text = text.trim_ascii().as_bytes();
    parse_common(text).or_else(|| parse_lenient(text)).or_else(|| parse_digits(text))
}

/// Reads Unix time from a JSON number: seconds, milliseconds, microseconds or nanoseconds.
///
/// The unit follows from the magnitude, whose limits are the year 5138 in seconds and 1973 in the
/// other units. Zero means that nobody set it.
pub(super) fn parse_number(number: &[u8]) -> Option<i64> {
    let decimal = Decimal::parse(number)?;
    let whole = decimal.shifted(0)?;
    let milliseconds = match whole {
        0..100_000_000_000 => decimal.shifted(3)?,
        100_000_000_000..100_000_000_000_000 => whole,
        100_000_000_000_000..100_000_000_000_000_000 => decimal.shifted(-3)?,
        _ => decimal.shifted(-6)?,
    };
    i64::try_from(milliseconds).ok().filter(|_| (1..=LAST).contains(&milliseconds))
}

/// Reads the form that the collector writes, `YYYY-MM-DDTHH:MM:SS[.fraction]Z`, and no other.
fn parse_common(text: &[u8]) -> Option<i64> {
    let (second, rest) = text.split_first_chunk::<19>()?;
    let [y0, y1, y2, y3, b'-', mo0, mo1, b'-', d0, d1, b'T', h0, h1, b':', mi0, mi1, b':', s0, s1] =
        *second
    else {
        return None;
    };
    let millisecond = match rest {
        [b'Z'] => 0,
        [b'.', fraction @ .., b'Z'] => first_three_digits(fraction)?,
        _ => return None,
    };
    let date = Date {
        year: i64::from(two_digits(y0, y1)?) * 100 + i64::from(two_digits(y2, y3)?),
        month: two_digits(mo0, mo1)?,
        day: two_digits(d0, d1)?,
    };
    let (hour, minute, second) = (two_digits(h0, h1)?, two_digits(mi0, mi1)?, two_digits(s0, s1)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    in_range(date.days()?, seconds_of_day(hour, minute, second), millisecond)
}

struct Date {
    year: i64,
    month: u8,
    day: u8,
}

impl Date {
    /// Returns the days since the Unix epoch, if there is such a date in the Gregorian calendar.
    fn days(&self) -> Option<i64> {
        /// Days before a month of a year that starts in March, so that the leap day comes last.
        const BEFORE_MONTH: [i64; 12] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337];
        /// Days from 0000-03-01 to 1970-01-01.
        const EPOCH: i64 = 719_468;
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let days_in_month = match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            _ => return None,
        };
        if self.day == 0 || self.day > days_in_month {
            return None;
        }
        let (year, month) = if self.month > 2 {
            (self.year, self.month - 3)
        } else {
            (self.year - 1, self.month + 9)
        };
        let before = BEFORE_MONTH.get(usize::from(month))?;
        Some(
            365 * year + year.div_euclid(4) - year.div_euclid(100)
                + year.div_euclid(400)
                + before
                + i64::from(self.day)
                - 1
                - EPOCH,
        )
    }
}

fn parse_lenient(text: &[u8]) -> Option<i64> {
    let mut cursor = Cursor(text);
    let year = i64::from(cursor.two()?) * 100 + i64::from(cursor.two()?);
    cursor.one_of(b"-")?;
    let month = cursor.two()?;
    cursor.one_of(b"-")?;
    let days = Date { year, month, day: cursor.two()? }.days()?;
    if cursor.0.is_empty() {
        return in_range(days, 0, 0);
    }
    cursor.one_of(b"Tt ")?;
    let hour = cursor.two()?;
    cursor.one_of(b":")?;
    let minute = cursor.two()?;
    let (mut second, mut millisecond) = (0, 0);
    if cursor.one_of(b":").is_some() {
        second = cursor.two()?;
        if cursor.one_of(b".,").is_some() {
            millisecond = first_three_digits(cursor.digits())?;
        }
    }
    let ends_day = hour == 24 && minute == 0 && second == 0 && millisecond == 0;
    if (hour > 23 && !ends_day) || minute > 59 || second > 60 {
        return None;
    }
    let offset = cursor.offset_seconds()?;
    in_range(days, seconds_of_day(hour, minute, second) - offset, millisecond)
}

fn parse_digits(text: &[u8]) -> Option<i64> {
    let whole = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_decimal = match text.get(whole..)? {
        [] => true,
        [b'.', fraction @ ..] => !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    (is_decimal && matches!(whole, 10 | 13 | 16 | 19) && !text.starts_with(b"0"))
        .then(|| parse_number(text))?
}

/// The rest of a text that is read from the left.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn one_of(&mut self, allowed: &[u8]) -> Option<u8> {
        let (&byte, rest) = self.0.split_first().filter(|(byte, _)| allowed.contains(byte))?;
        self.0 = rest;
        Some(byte)
    }

    fn two(&mut self) -> Option<u8> {
        let (&[tens, units], rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        two_digits(tens, units)
    }

    fn digits(&mut self) -> &'a [u8] {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(count).unwrap_or((self.0, &[]));
        self.0 = rest;
        digits
    }

    /// Reads the rest as the distance from UTC: nothing, `Z`, `+hh:mm`, `+hhmm` or `+hh`.
    fn offset_seconds(&mut self) -> Option<i64> {
        if self.0.is_empty() {
            return Some(0);
        }
        self.one_of(b" ");
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return self.0.is_empty().then_some(0),
        };
        let hour = self.two()?;
        let minute = if self.0.is_empty() {
            0
        } else {
            self.one_of(b":");
            self.two()?
        };
        let is_offset = self.0.is_empty() && hour < 24 && minute < 60;
        is_offset.then(|| sign * seconds_of_day(hour, minute, 0))
    }
}

/// A decimal number: `digits * 10^exponent`.
struct Decimal {
    digits: u128,
    exponent: i32,
}

impl Decimal {
    /// Reads a JSON number that is not negative; digits too small to matter are cut off.
    fn parse(number: &[u8]) -> Option<Self> {
        /// Far more than nanoseconds need, and multiplied by 1000 it still fits.
        const MAX_DIGITS: u128 = 10_u128.pow(34);
        let (mantissa, exponent) = match number.iter().position(|byte| matches!(byte, b'e' | b'E'))
        {
            Some(at) => {
                (number.get(..at)?, str::from_utf8(number.get(at + 1..)?).ok()?.parse().ok()?)
            }
            None => (number, 0_i32),
        };
        let mut decimal = Self { digits: 0, exponent };
        let mut after_point = 0;
        for &byte in mantissa {
            match byte {
                b'0'..=b'9' if decimal.digits < MAX_DIGITS => {
                    decimal.digits = decimal.digits * 10 + u128::from(byte - b'0');
                    decimal.exponent = decimal.exponent.checked_sub(after_point)?;
                }
                // One more place before the point; nothing that matters after it.
                b'0'..=b'9' => decimal.exponent = decimal.exponent.checked_add(1 - after_point)?,
                b'.' => after_point = 1,
                _ => return None,
            }
        }
        Some(decimal)
    }

    /// Returns the whole part of the number times `10^by`, if it is not absurdly large.
    fn shifted(&self, by: i32) -> Option<u128> {
        let exponent = self.exponent.checked_add(by)?;
        match 10_u128.checked_pow(exponent.unsigned_abs()) {
            Some(power) if exponent >= 0 => self.digits.checked_mul(power),
            Some(power) => Some(self.digits / power),
            None => (exponent < 0 || self.digits == 0).then_some(0),
        }
    }
}

fn in_range(days: i64, second_of_day: i64, millisecond: i64) -> Option<i64> {
    let instant = (days * SECONDS_PER_DAY + second_of_day) * MS_PER_SECOND + millisecond;
    u128::try_from(instant).is_ok_and(|instant| instant <= LAST).then_some(instant)
}

fn seconds_of_day(hour: u8, minute: u8, second: u8) -> i64 {
    i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)
}

fn two_digits(tens: u8, units: u8) -> Option<u8> {
    (tens.is_ascii_digit() && units.is_ascii_digit()).then(|| (tens - b'0') * 10 + (units - b'0'))
}

/// Returns the milliseconds of a fraction of a second, which has at least one digit.
fn first_three_digits(fraction: &[u8]) -> Option<i64> {
    if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |at: usize| fraction.get(at).map_or(0, |byte| i64::from(byte - b'0'));
    Some(digit(0) * 100 + digit(1) * 10 + digit(2))
}
