//! Durations and sizes as people write them.

use std::{fmt::Write, time::Duration};

use flota_model::units::Bytes;

/// Longest duration anywhere in a spec, so that no sum of moments can overflow.
pub const DURATION_MAX: Duration = Duration::from_hours(24 * 3_650);

/// Longest text that can be a quantity; 20 digits, a point, 6 more and a unit fit.
const TEXT_LENGTH_MAX: usize = 40;

/// Microseconds of each unit, longest first.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
];

/// Bytes of each unit. `K`, `M`, `G` alone are refused: half of the tools mean 1000 by them.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityFault {
    /// Neither digits nor a known unit.
    #[error("`{0}` is not a duration such as `10ms`, `1.5s`, `2m`, `1h` or `7d`")]
    NoDuration(String),
    /// Less than a microsecond would be lost.
    #[error("`{0}` is finer than a microsecond")]
    TooFine(String),
    /// Above [`DURATION_MAX`].
    #[error("`{0}` is longer than ten years")]
    TooLong(String),
    /// Neither digits nor a known unit.
    #[error("`{0}` is not a size such as `1048576`, `512MiB` or `2GB`")]
    NoSize(String),
    /// Above 2⁶⁴ bytes.
    #[error("`{0}` is more than 16 EiB")]
    TooLarge(String),
}

/// Parses `10ms`, `1.5s`, `2m`, `1h`, `7d`, or a plain number of seconds.
///
/// Resolution one microsecond; at most [`DURATION_MAX`].
pub fn parse_duration(text: &str) -> Result<Duration, QuantityFault> {
    let (number, unit) = split(text);
    let micros_per_unit = match unit {
        "" => Some(1_000_000),
        _ => factor(&DURATION_UNITS, unit),
    };
    let parsed = micros_per_unit.and_then(|factor| scale(number, factor));
    let Some((micros, exact)) = parsed else {
        return Err(QuantityFault::NoDuration(clip(text)));
    };
    if !exact {
        return Err(QuantityFault::TooFine(clip(text)));
    }
    match u64::try_from(micros).map(Duration::from_micros) {
        Ok(span) if span <= DURATION_MAX => Ok(span),
        Ok(_) | Err(_) => Err(QuantityFault::TooLong(clip(text))),
    }
}

/// A short text that [`parse_duration`] reads back as `span`, cut to whole microseconds.
pub fn format_duration(span: Duration) -> String {
    let micros = span.as_micros();
    if micros == 0 {
        return "0s".to_owned();
    }
    for (unit, factor) in &DURATION_UNITS[..4] {
        if micros.is_multiple_of(u128::from(*factor)) {
            return format!("{}{unit}", micros / u128::from(*factor));
        }
    }
    if micros >= 1_000_000 {
        decimal(micros, 6) + "s"
    } else {
        decimal(micros, 3) + "ms"
    }
}

/// Parses `1048576`, `512MiB` (1024-fold units), `2GB` (1000-fold units).
pub fn parse_size(text: &str) -> Result<Bytes, QuantityFault> {
    let (number, unit) = split(text);
    let bytes_per_unit = match unit {
        "" => Some(1),
        _ => factor(&SIZE_UNITS, unit),
    };
    match bytes_per_unit.and_then(|factor| scale(number, factor)) {
        Some((bytes, true)) => u64::try_from(bytes)
            .map(Bytes)
            .map_err(|_| QuantityFault::TooLarge(clip(text))),
        Some((_, false)) | None => Err(QuantityFault::NoSize(clip(text))),
    }
}

/// For people: the largest 1024-fold unit, with one decimal where it does not divide evenly.
pub fn format_size(size: Bytes) -> String {
    for (unit, factor) in &SIZE_UNITS[..4] {
        if size.0 >= *factor {
            let tenths = u128::from(size.0) * 10 / u128::from(*factor);
            return if size.0.is_multiple_of(*factor) {
                format!("{}{unit}", size.0 / factor)
            } else {
                format!("{}.{}{unit}", tenths / 10, tenths % 10)
            };
        }
    }
    format!("{}B", size.0)
}

/// Number and unit, without the spaces around and between them.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    (number, unit.trim_start())
}

fn factor(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor)
}

/// `number` times `factor`, rounded down, and whether nothing was lost; `None` if it is no number.
///
/// Decimal arithmetic, so that `0.1s` is exactly 100,000 microseconds.
fn scale(number: &str, factor: u64) -> Option<(u128, bool)> {
    if number.len() > TEXT_LENGTH_MAX {
        return None;
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    // Eighteen decimals of a 64-bit factor stay below 2^128.
    if !digits(whole) || !digits(fraction) || fraction.len() > 18 {
        return None;
    }
    let scaled = u128::from(factor);
    let whole = whole.parse::<u128>().ok()?.checked_mul(scaled)?;
    let part = fraction.parse::<u128>().ok()?.checked_mul(scaled)?;
    let divisor = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some((
        whole.checked_add(part / divisor)?,
        part.is_multiple_of(divisor),
    ))
}

/// `value` / 10^`places` without needless zeros.
fn decimal(value: u128, places: u32) -> String {
    let divisor = 10_u128.pow(places);
    let mut text = (value / divisor).to_string();
    let width = places as usize;
    write!(text, ".{:0width$}", value % divisor).expect("writing to a string cannot fail");
    text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    text
}

/// Keeps messages short whatever was given.
fn clip(text: &str) -> String {
    if text.len() <= TEXT_LENGTH_MAX {
        return text.to_owned();
    }
    let cut: String = text.chars().take(TEXT_LENGTH_MAX).collect();
    cut + "…"
}

#[cfg(test)]
mod tests;
