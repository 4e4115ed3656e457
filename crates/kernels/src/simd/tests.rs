use super::{Level, count_at};
use crate::{Stop, julia::Line};

#[test]
fn every_level_of_this_processor_counts_alike() {
    let levels: Vec<Level> = Level::available().collect();
    assert_eq!(levels.last(), Some(&Level::Baseline));
    let points: Vec<f64> = (0..77).map(|index| f64::from(index) / 40.0 - 1.0).collect();
    let line = Line {
        re: &points,
        im: 0.1,
        c_re: -0.8,
        c_im: 0.156,
    };
    let counts = |level| {
        let mut counts = vec![0; points.len()];
        count_at(level, &line, 503, &Stop::new(), &mut counts).expect("nobody stops it");
        counts
    };
    let expected = counts(Level::Baseline);
    assert!(
        expected.iter().any(|count| *count > 50),
        "some points stay for a while"
    );
    for level in levels {
        assert_eq!(counts(level), expected, "{level:?}");
    }
}
