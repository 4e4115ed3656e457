use std::time::Duration;

use flota_model::units::Bytes;

use super::{
    DURATION_MAX, QuantityFault, format_duration, format_size, parse_duration, parse_size,
};

#[test]
fn durations_are_read_exactly() {
    for (text, micros) in [
        ("10ms", 10_000),
        ("1.5s", 1_500_000),
        ("0.1s", 100_000),
        ("0.001ms", 1),
        ("2m", 120_000_000),
        ("1h", 3_600_000_000),
        ("7d", 604_800_000_000),
        ("10", 10_000_000),
        (" 0.25 ", 250_000),
        ("3 s", 3_000_000),
        ("0s", 0),
        ("0", 0),
    ] {
        assert_eq!(
            parse_duration(text),
            Ok(Duration::from_micros(micros)),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_duration_is_refused_with_its_text() {
    for text in [
        "",
        "s",
        "1.s",
        ".5s",
        "1y",
        "-1s",
        "1.2.3s",
        "1e3s",
        "10 minutes",
        "١s",
    ] {
        assert_eq!(
            parse_duration(text),
            Err(QuantityFault::NoDuration(text.to_owned())),
            "{text}"
        );
    }
    assert_eq!(
        parse_duration("0.0001ms"),
        Err(QuantityFault::TooFine("0.0001ms".to_owned()))
    );
    assert_eq!(
        parse_duration("3651d"),
        Err(QuantityFault::TooLong("3651d".to_owned()))
    );
    assert_eq!(parse_duration("3650d"), Ok(DURATION_MAX));
    let endless = "9".repeat(1_000_000);
    let message = parse_duration(&endless).unwrap_err().to_string();
    assert!(message.len() < 200, "{message}");
}

#[test]
fn the_text_of_a_duration_is_read_back_as_the_same() {
    for (micros, text) in [
        (0, "0s"),
        (1, "0.001ms"),
        (1_500, "1.5ms"),
        (10_000, "10ms"),
        (1_500_000, "1.5s"),
        (1_500_001, "1.500001s"),
        (90_000_000, "90s"),
        (60_000_000, "1m"),
        (86_400_000_000, "1d"),
    ] {
        let span = Duration::from_micros(micros);
        assert_eq!(format_duration(span), text);
        assert_eq!(parse_duration(text), Ok(span));
    }
}

#[test]
fn sizes_are_read_in_both_kinds_of_units() {
    for (text, bytes) in [
        ("0", 0),
        ("1048576", 1 << 20),
        ("512MiB", 512 << 20),
        ("1.5GiB", 3 << 29),
        ("2GB", 2_000_000_000),
        ("1kB", 1_000),
        ("7 B", 7),
    ] {
        assert_eq!(parse_size(text), Ok(Bytes(bytes)), "{text}");
    }
    for text in ["", "512M", "1K", "0.5B", "-1", "MiB"] {
        assert_eq!(
            parse_size(text),
            Err(QuantityFault::NoSize(text.to_owned())),
            "{text}"
        );
    }
    let huge = "16777216TiB".to_owned();
    assert_eq!(parse_size(&huge), Err(QuantityFault::TooLarge(huge)));
}

#[test]
fn sizes_are_shown_in_the_largest_unit() {
    for (bytes, text) in [
        (0, "0B"),
        (1_023, "1023B"),
        (1_024, "1KiB"),
        (1_536, "1.5KiB"),
        (512 << 20, "512MiB"),
        (u64::MAX, "16777215.9TiB"),
    ] {
        assert_eq!(format_size(Bytes(bytes)), text);
    }
}
