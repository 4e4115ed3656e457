//! Instants of the wall clock as text (RFC 3339).

use flota_model::units::Timestamp;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;
const DAY: i64 = 86_400;

/// Parses `2027-01-01T03:00:00Z`, also with a blank instead of the `T`, without seconds, with up to
/// six decimals, and with an offset such as `+02:00` instead of the `Z`. Not before 1970.
pub fn parse(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(place) => rest.split_at(place),
        None => return None,
    };
    let seconds = days_of(date)? * DAY - offset_of(offset)?;
    let (whole, micros) = clock_of(clock)?;
    let total = (seconds + whole).checked_mul(1_000_000)? + micros;
    u64::try_from(total).ok().map(Timestamp)
}

/// A text that [`parse`] reads back as `at`.
pub fn format(at: Timestamp) -> String {
    let (seconds, micros) = (at.0 / 1_000_000, at.0 % 1_000_000);
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(i64::try_from(days).unwrap_or(0));
    let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if micros > 0 {
        text += format!(".{micros:06}").trim_end_matches('0');
    }
    text + "Z"
}

/// Digits alone, exactly so many, as a number up to `most`.
fn digits(text: &str, length: usize, most: i64) -> Option<i64> {
    let plain = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| plain);
    number.filter(|number| *number <= most)
}

/// Days since 1970-01-01 of `YYYY-MM-DD`.
fn days_of(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let year = digits(parts.next()?, 4, 9_999)?;
    let month = digits(parts.next()?, 2, 12)?;
    let day = digits(parts.next()?, 2, 31)?;
    if parts.next().is_some() {
        return None;
    }
    // Howard Hinnant, chrono-compatible low-level date algorithms: years that begin in March.
    let march_year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (march_year.div_euclid(400), march_year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_DAYS;
    // A day that the month does not have comes back as another one.
    (civil(days) == (year, month, day)).then_some(days)
}

/// Year, month and day, so many days after 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + EPOCH_DAYS;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Seconds and microseconds of `HH:MM[:SS[.ffffff]]`.
fn clock_of(text: &str) -> Option<(i64, i64)> {
    let (text, decimals) = match text.split_once('.') {
        Some((text, decimals)) if (1..=6).contains(&decimals.len()) => (text, decimals),
        Some(_) => return None,
        None => (text, "0"),
    };
    let mut parts = text.split(':');
    let hour = digits(parts.next()?, 2, 23)?;
    let minute = digits(parts.next()?, 2, 59)?;
    let second = match parts.next() {
        Some(second) => digits(second, 2, 59)?,
        None => 0,
    };
    if parts.next().is_some() {
        return None;
    }
    let micros = digits(&format!("{decimals:0<6}"), 6, 999_999)?;
    Some(((hour * 60 + minute) * 60 + second, micros))
}

/// Seconds east of `Z` or `±HH:MM`.
fn offset_of(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, clock) = text.split_at_checked(1)?;
    let (hours, minutes) = clock.split_once(':')?;
    let seconds = (digits(hours, 2, 23)? * 60 + digits(minutes, 2, 59)?) * 60;
    Some(if sign == "-" { -seconds } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_and_written_back() {
        for (text, micros, written) in [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            (
                "2027-01-01 03:00+01:00",
                1_798_768_800_000_000,
                "2027-01-01T02:00:00Z",
            ),
            (
                "2028-02-29T23:59:59.5Z",
                1_835_481_599_500_000,
                "2028-02-29T23:59:59.5Z",
            ),
            (
                "2000-12-31T23:00:00-02:30",
                978_312_600_000_000,
                "2001-01-01T01:30:00Z",
            ),
        ] {
            assert_eq!(parse(text), Some(Timestamp(micros)), "{text}");
            assert_eq!(format(Timestamp(micros)), written);
            assert_eq!(parse(written), Some(Timestamp(micros)));
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "2027-01-01",
            "2027-01-01T03:00",
            "2027-02-29T00:00Z",
            "2027-13-01T00:00Z",
            "2027-01-01T24:00Z",
            "2027-01-01T00:60Z",
            "2027-01-01T00:00:00.1234567Z",
            "2027-01-01T00:00:00+1:00",
            "1969-12-31T23:59:59Z",
            "2027-01-0éT00:00Z",
            "+027-01-01T00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
