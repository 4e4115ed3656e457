//! Values as people read them.

use std::{collections::BTreeMap, fmt::Write as _};

use flota_model::units::{Bytes, Timestamp};
use flota_wire::quantity::format_size;

/// A moment that a display cannot tell from now.
const INSTANT_SECONDS: f64 = 0.05;

/// Text of others without its control characters, so that a name cannot move the cursor.
pub(crate) fn clean(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            write!(safe, "{}", letter.escape_default()).expect("a String takes everything");
        } else {
            safe.push(letter);
        }
    }
    safe
}

/// Seconds as `12ms`, `4.2s`, `3m 05s`, `2h 10m` or `5d 3h`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate, and the value is for display"
)]
pub(crate) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    let whole = seconds as u64;
    match whole {
        0 if seconds < 1.0 => format!("{}ms", (seconds * 1000.0).round()),
        0..60 => format!("{seconds:.1}s"),
        60..3600 => format!("{}m {:02}s", whole / 60, whole % 60),
        3600..86_400 => format!("{}h {:02}m", whole / 3600, whole / 60 % 60),
        _ => format!("{}d {}h", whole / 86_400, whole / 3600 % 24),
    }
}

/// As [`duration`], with only its largest unit: `3m`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate, and the value is for display"
)]
pub(crate) fn age(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m", whole / 60),
        3600..86_400 => format!("{}h", whole / 3600),
        _ => format!("{}d", whole / 86_400),
    }
}

/// From `then` (Unix seconds) to `now`; clocks of two machines may differ, so never negative.
pub(crate) fn seconds_ago(then: f64, now: Timestamp) -> f64 {
    let seconds = std::time::Duration::from_micros(now.0).as_secs_f64() - then;
    if seconds < INSTANT_SECONDS {
        0.0
    } else {
        seconds
    }
}

/// Unix seconds as `2026-11-21 04:57:32 UTC`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "float to integer casts saturate"
)]
pub fn utc(seconds: f64) -> String {
    let whole = seconds.floor() as i64;
    let (days, second) = (whole.div_euclid(86_400), whole.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02} UTC",
        second % 60
    )
}

/// The Gregorian date of a day counted from 1970-01-01.
///
/// Counts in 400-year cycles of 146,097 days that begin on 1 March of year 0, so that the leap day
/// is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let (cycle, day_of_cycle) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let leap_days = day_of_cycle / 1_460 - day_of_cycle / 36_524 + day_of_cycle / 146_096;
    let year_of_cycle = (day_of_cycle - leap_days) / 365;
    let year_start = 365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100;
    let day_of_year = day_of_cycle - year_start;
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = 400 * cycle + year_of_cycle + i64::from(month <= 2);
    (year, month, day)
}

/// Bytes as `512MiB`.
pub(crate) fn bytes(amount: u64) -> String {
    format_size(Bytes(amount))
}

/// Cores as `0.5`.
pub(crate) fn cpus(amount: f64) -> String {
    let text = format!("{amount:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number with its thousands apart: `1 000 000` (a thin space would break columns).
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `a=1,b=2`.
pub(crate) fn labels(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}
