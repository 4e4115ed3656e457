//! Finds what a mistyped name was meant to be.

/// Slips of the keyboard that are forgiven: one insertion, deletion, replacement each.
const SLIPS_MAX: usize = 2;
/// Longer names are not compared: the cost grows with the product of the lengths.
const LENGTH_MAX: usize = 63;

/// The candidate with the fewest slips, the first on a tie; `None` if all differ too much.
pub(crate) fn of<'name>(name: &str, candidates: &[&'name str]) -> Option<&'name str> {
    if name.len() > LENGTH_MAX {
        return None;
    }
    let closest = candidates
        .iter()
        .filter(|candidate| candidate.len() <= LENGTH_MAX)
        .map(|candidate| (slips(name, candidate), *candidate));
    let (slips, candidate) = closest.min_by_key(|(slips, _)| *slips)?;
    // Half of a short name replaced is another name, not a slip.
    (slips <= SLIPS_MAX && slips * 2 <= candidate.len()).then_some(candidate)
}

/// The Levenshtein distance of two strings, by bytes.
fn slips(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, left_byte) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, right_byte) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(left_byte != right_byte);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
