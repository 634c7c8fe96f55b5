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
    let (instant, len) = LastSecond::default().parse_leading(text)?;
    (len == text.len()).then_some(instant)
}

/// The second that was read last: most records say the same one as the record before.
#[derive(Debug)]
pub(super) struct LastSecond {
    text: [u8; 19],
    /// Since the Unix epoch.
    milliseconds: i64,
}

impl Default for LastSecond {
    fn default() -> Self {
        Self { text: *b"1970-01-01T00:00:00", milliseconds: 0 }
    }
}

impl LastSecond {
    /// Reads what `text` begins with, if that is the form that the collector writes. Returns the instant, and the
    /// length of its text.
    pub(super) fn parse_leading(&mut self, text: &[u8]) -> Option<(i64, usize)> {
        let (second, rest) = text.split_first_chunk()?;
        if *second != self.text {
            *self = Self { text: *second, milliseconds: parse_second(second)? };
        }
        let (millisecond, len) = match rest {
            [b'Z', ..] => (0, 0),
            [b'.', rest @ ..] => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                (first_three_digits(rest.get(..digits)?)?, 1 + digits)
            }
            _ => return None,
        };
        (rest.get(len) == Some(&b'Z'))
            .then_some((self.milliseconds + millisecond, second.len() + len + 1))
    }
}

/// Reads `YYYY-MM-DDTHH:MM:SS`.
fn parse_second(text: &[u8; 19]) -> Option<i64> {
    let [y0, y1, y2, y3, b'-', mo0, mo1, b'-', d0, d1, b'T', h0, h1, b':', mi0, mi1, b':', s0, s1] =
        *text
    else {
        return None;
    };
    if !are_digits(&[y0, y1, y2, y3, mo0, mo1, d0, d1, h0, h1, mi0, mi1, s0, s1]) {
        return None;
    }
    let year = i64::from(number(y0, y1)) * 100 + i64::from(number(y2, y3));
    let date = Date { year, month: number(mo0, mo1), day: number(d0, d1) };
    let (hour, minute, second) = (number(h0, h1), number(mi0, mi1), number(s0, s1));
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    in_range(date.days()?, seconds_of_day(hour, minute, second), 0)
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
    are_digits(&[tens, units]).then(|| number(tens, units))
}

/// Returns the number that two digits are.
fn number(tens: u8, units: u8) -> u8 {
    tens.wrapping_sub(b'0').wrapping_mul(10).wrapping_add(units.wrapping_sub(b'0'))
}

fn are_digits(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, byte| all & byte.is_ascii_digit())
}

/// Returns the milliseconds of a fraction of a second, which has at least one digit.
fn first_three_digits(fraction: &[u8]) -> Option<i64> {
    if fraction.is_empty() || !are_digits(fraction) {
        return None;
    }
    let digit = |at: usize| fraction.get(at).map_or(0, |byte| i64::from(byte - b'0'));
    Some(digit(0) * 100 + digit(1) * 10 + digit(2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Compares what a JSON value says; nothing means that it is not usable.
    #[track_caller]
    fn check(json: &str, milliseconds: Option<i64>) {
        assert_eq!(parse_json(json), milliseconds.map_or(Found::Unusable, Found::At), "{json}");
    }

    #[test]
    fn rfc_3339_gives_milliseconds_cut_off() {
        for (text, milliseconds) in [
            ("2024-01-15T10:30:00Z", 1_705_314_600_000),
            ("2024-01-15T10:30:00.1Z", 1_705_314_600_100),
            ("2024-01-15T10:30:00.12Z", 1_705_314_600_120),
            ("2024-01-15T10:30:00.123Z", 1_705_314_600_123),
            ("2024-01-15T10:30:00.123999Z", 1_705_314_600_123),
            ("2024-01-15T10:30:00.123999999Z", 1_705_314_600_123),
            ("2024-01-15T10:30:00.1239999999999Z", 1_705_314_600_123),
            ("2024-01-15T10:30:00.000000001Z", 1_705_314_600_000),
            ("2024-01-15T10:30:00+00:00", 1_705_314_600_000),
            ("2024-01-15T10:30:00-00:00", 1_705_314_600_000),
            ("2024-01-15T05:30:00.5-05:00", 1_705_314_600_500),
            ("2024-01-15T16:00:00+05:30", 1_705_314_600_000),
            ("2024-01-16T10:29:00+23:59", 1_705_314_600_000),
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59.999Z", 951_868_799_999),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("2026-11-23T09:41:33.123456789Z", 1_795_426_893_123),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799_999),
        ] {
            check(&format!("\"{text}\""), Some(milliseconds));
        }
    }

    #[test]
    fn variants_with_one_meaning_are_understood() {
        let instant = 1_705_314_600_000;
        for (text, milliseconds) in [
            ("2024-01-15t10:30:00z", instant),
            ("2024-01-15 10:30:00Z", instant),
            ("2024-01-15T10:30:00", instant),
            ("2024-01-15 10:30:00.25", instant + 250),
            ("2024-01-15T10:30:00,123Z", instant + 123),
            ("2024-01-15T10:30:00+0000", instant),
            ("2024-01-15T12:30:00+02", instant),
            ("2024-01-15 12:30:00 +0200", instant),
            ("2024-01-15T10:30Z", instant),
            ("2024-01-15T10:30", instant),
            ("  2024-01-15T10:30:00Z\\n", instant),
            ("2024\\u002d01-15T10:30:00Z", instant),
            ("2024-01-15", 1_705_276_800_000),
            ("2024-01-15T24:00:00Z", 1_705_363_200_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("1705314600", instant),
            ("1705314600.25", instant + 250),
            ("1705314600123", instant + 123),
            ("1705314600123456", instant + 123),
            ("1705314600123456789", instant + 123),
        ] {
            check(&format!("\"{text}\""), Some(milliseconds));
        }
    }

    #[test]
    fn what_a_text_begins_with_is_read_whatever_was_read_before() {
        let mut last = LastSecond::default();
        for (text, expected) in [
            ("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0Z", None),
            ("2024-01-15T10:30:00.123456Z\", ...", Some((1_705_314_600_123, 27))),
            ("2024-01-15T10:30:00Z\"}", Some((1_705_314_600_000, 20))),
            ("2024-01-15T10:30:00.5Z", Some((1_705_314_600_500, 22))),
            ("2024-01-15T10:30:60.5Z", None),
            ("2024-01-15T10:30:00.5Z", Some((1_705_314_600_500, 22))),
            ("2024-01-15T10:30:01.5Z", Some((1_705_314_601_500, 22))),
            ("2024-01-15T10:30:01.Z", None),
            ("2024-01-15T10:30:01.5", None),
            ("2024-01-15T10:30:01+00:00", None),
            ("2024-01-15T10:30:01", None),
            ("2024-01-15T10:30", None),
            ("1969-12-31T23:59:59Z", None),
            ("1970-01-01T00:00:00Z", Some((0, 20))),
        ] {
            assert_eq!(last.parse_leading(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn text_without_one_meaning_is_not_usable() {
        for text in [
            "",
            " ",
            "yesterday",
            "2024",
            "20240115",
            "20240115T103000Z",
            "20240115103000",
            "17053146",
            "0000000001",
            "1705314600.",
            "1705314600e0",
            "-1705314600",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2024-01-15T24:00:01Z",
            "2024-01-15T25:00:00Z",
            "2024-01-15T10:60:00Z",
            "2024-01-15T10:30:61Z",
            "2024-01-15T10:30:00.Z",
            "2024-01-15T10:30:00.1x",
            "2024-01-15T10:30:00ZZ",
            "2024-01-15T10:30:00+24:00",
            "2024-01-15T10:30:00+05:60",
            "2024-01-15T10:30:00+",
            "2024-01-15T10:30:00+5",
            "2024-01-15T",
            "2024-01-15T10",
            "2024-1-5T10:30:00Z",
            "15/01/2024 10:30:00",
            "Mon, 15 Jan 2024 10:30:00 GMT",
            "1969-12-31T23:59:59.999Z",
            "1970-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "+2024-01-15T10:30:00Z",
        ] {
            check(&format!("\"{text}\""), None);
        }
    }

    #[test]
    fn the_unit_of_unix_time_follows_from_its_magnitude() {
        for (number, milliseconds) in [
            ("1705314600", 1_705_314_600_000),
            ("1705314600123", 1_705_314_600_123),
            ("1705314600123456", 1_705_314_600_123),
            ("1705314600123456789", 1_705_314_600_123),
            ("1705314600.123", 1_705_314_600_123),
            ("1705314600.123999999", 1_705_314_600_123),
            ("1705314600123.9", 1_705_314_600_123),
            ("1.7053146e9", 1_705_314_600_000),
            ("1.7053146E+09", 1_705_314_600_000),
            ("170531460000e-2", 1_705_314_600_000),
            ("1705314600.00000000000000000000000000000000000000000001", 1_705_314_600_000),
            ("1", 1000),
            ("0.25", 250),
            ("99999999999", 99_999_999_999_000),
            ("100000000000", 100_000_000_000),
            ("99999999999999", 99_999_999_999_999),
            ("100000000000000", 100_000_000_000),
            ("99999999999999999", 99_999_999_999_999),
            ("100000000000000000", 100_000_000_000),
            ("253402300799999000000", 253_402_300_799_999),
        ] {
            check(number, Some(milliseconds));
        }
        for number in [
            "0",
            "-0",
            "0.0",
            "0e9",
            "0.0001",
            "-1",
            "-1705314600",
            "253402300800000000000",
            "1e400",
            "1e-400",
            "1e99999999999",
            "1e-99999999999",
            "123456789012345678901234567890123456789012345678901234567890",
        ] {
            check(number, None);
        }
    }

    #[test]
    fn only_null_says_nothing() {
        assert_eq!(parse_json("null"), Found::Missing);
        for json in ["true", "false", "[]", "[1]", "{}"] {
            check(json, None);
        }
    }

    proptest! {
        #[test]
        fn what_jiff_reads_as_an_instant_is_the_same_here(
            milliseconds in 0..=253_402_207_200_999_i64, nanoseconds in 0..1_000_000_i64, offset in -86_000..86_000,
        ) {
            let instant = jiff::Timestamp::from_millisecond(milliseconds).unwrap() + jiff::SignedDuration::from_nanos(nanoseconds);
            prop_assert_eq!(parse_text(&instant.to_string()), Some(milliseconds));
            let whole_minutes = jiff::tz::Offset::from_seconds(offset / 60 * 60).unwrap();
            prop_assert_eq!(parse_text(&instant.display_with_offset(whole_minutes).to_string()), Some(milliseconds));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "[0-9TZ:.+e -]{0,40}") {
            for found in [parse_text(&text), parse_number(text.as_bytes())].into_iter().flatten() {
                prop_assert!((0..=253_402_300_799_999).contains(&found));
            }
        }

        #[test]
        fn whole_unix_time_from_2001_to_2286_is_itself_in_every_unit(seconds in 1_000_000_000..10_000_000_000_i64, part in 0..1000_i64) {
            let milliseconds = seconds * 1000 + part;
            for text in [format!("{seconds}.{part:03}"), format!("{milliseconds}"), format!("{milliseconds}789"), format!("{milliseconds}789123")] {
                prop_assert_eq!(parse_number(text.as_bytes()), Some(milliseconds));
                prop_assert_eq!(parse_text(&text), Some(milliseconds));
            }
        }
    }
}
