//! Where groups of a data folder were made, also by agents that were in another group than this one.
//! Their keepers go on there.

use std::{fs, io, path::Path};

use super::Place;

/// Below the data folder: a line for each place.
const FILE: &str = "groups";
/// Places of that many agents; more than that are no file of ours.
const LENGTH_MAX: u64 = 64 << 10;

/// Those that are remembered and still have groups.
pub(crate) fn remembered(data: &Path) -> Vec<Place> {
    let path = data.join(FILE);
    let is_ours = fs::metadata(&path).is_ok_and(|status| status.len() <= LENGTH_MAX);
    let text = if is_ours {
        fs::read_to_string(&path).unwrap_or_default()
    } else {
        String::new()
    };
    let places = text.lines().filter_map(Place::of_text);
    places.filter(|place| place.folder.is_dir()).collect()
}

/// Remembers these beside those that still have groups, and gives all of them.
pub(crate) fn remember(data: &Path, places: &[Place]) -> io::Result<Vec<Place>> {
    let mut all = places.to_vec();
    let is_new = |place: &Place| places.iter().all(|known| known.folder != place.folder);
    all.extend(remembered(data).into_iter().filter(is_new));
    let text: String = all.iter().map(|place| place.to_text() + "\n").collect();
    let new = data.join(format!("{FILE}.new"));
    fs::write(&new, text)?;
    fs::rename(&new, data.join(FILE))?;
    Ok(all)
}
