//! What somebody may have meant.

/// Most edits between what was written and what was meant.
const DISTANCE_MAX: usize = 2;

/// The known word nearest to `word`, if any is near; the first one on a tie.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= DISTANCE_MAX && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_finds_the_word_and_a_strange_one_finds_none() {
        let check = |word, expected| assert_eq!(nearest(word, ["listen", "data", "n1"]), expected);
        check("listne", Some("listen"));
        check("daat", Some("data"));
        check("n2", Some("n1"));
        check("colour", None);
        check("x", Some("n1").filter(|_| false));
    }
}
