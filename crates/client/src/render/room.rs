//! Why work waits for room, line by line.

use flota_wire::rest::waiting::{Obstruction, Room};

use super::text::{bytes, clean, cpus};
use crate::catalogue::Language;

/// One line for each reason.
pub(crate) fn room(language: Language, room: &Room) -> Vec<String> {
    let mut lines = Vec::new();
    match room.halt.as_deref() {
        Some("store-behind") => lines.push(language.room_halt_store_behind()),
        Some("nodes-awaited") => lines.push(language.room_halt_nodes_awaited()),
        Some("queue-paused") => lines.push(language.room_halt_queue_paused()),
        Some(other) => lines.push(clean(other)),
        None => {}
    }
    if room.nodes == 0 {
        lines.push(language.room_no_nodes());
    }
    if room.free > 0 {
        lines.push(language.room_free(room.free));
    }
    let obstructions = room.obstructions.iter();
    lines.extend(obstructions.map(|one| {
        let mut names: Vec<String> = one.names.iter().map(|name| clean(name)).collect();
        if one.nodes as usize > names.len() {
            names.push("…".to_owned());
        }
        let nodes = language.room_nodes(one.nodes);
        language.room_at(nodes, names.join(", "), reason(language, one))
    }));
    lines
}

/// What is said of those nodes; the word of the API where it is of a later version.
fn reason(language: Language, one: &Obstruction) -> String {
    let word = |word: &Option<String>| clean(word.as_deref().unwrap_or_default());
    let of = word(&one.of);
    match one.reason.as_str() {
        "kernels-only" => language.room_kernels_only(),
        "other-node" => language.room_other_node(),
        "label" => match &one.found {
            Some(found) => language.room_label(of, word(&one.wanted), clean(found)),
            None => language.room_label_missing(of, word(&one.wanted)),
        },
        "too-small" => {
            let (wanted, found) = amounts(one);
            language.room_too_small(of, wanted, found)
        }
        "occupied" => {
            let (wanted, found) = amounts(one);
            language.room_occupied(of, wanted, found)
        }
        "away" => language.room_away(),
        "lost" => language.room_lost(),
        "limits" => language.room_limits(of),
        "refusing" => language.room_refusing(),
        "unconfirmed" => language.room_unconfirmed(),
        "has-replica" => language.room_has_replica(),
        "kept" => language.room_kept(),
        other => clean(other),
    }
}

fn amounts(one: &Obstruction) -> (String, String) {
    let amount = |text: &Option<String>| {
        let text = text.as_deref().unwrap_or_default();
        match (one.of.as_deref(), text.parse::<u64>()) {
            (Some("memory"), Ok(amount)) => bytes(amount),
            (Some("cpus"), Ok(amount)) => {
                cpus(f64::from(u32::try_from(amount).unwrap_or(u32::MAX)) / 1_000.0)
            }
            _ => clean(text),
        }
    };
    (amount(&one.wanted), amount(&one.found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(reason: &str, details: [Option<&str>; 3]) -> Obstruction {
        let [of, wanted, found] = details.map(|detail| detail.map(str::to_owned));
        Obstruction {
            reason: reason.to_owned(),
            nodes: 4,
            names: ["n1", "n2", "n3"].map(str::to_owned).to_vec(),
            of,
            wanted,
            found,
        }
    }

    #[test]
    fn every_reason_has_words_in_both_languages() {
        let cases = [
            (one("kernels-only", [None; 3]), "run only some kernels"),
            (one("other-node", [None; 3]), "another node is asked for"),
            (
                one("label", [Some("zone"), Some("north"), None]),
                "no label zone=north",
            ),
            (
                one("label", [Some("zone"), Some("north"), Some("south")]),
                "label zone is south, not north",
            ),
            (
                one("too-small", [Some("cpus"), Some("2500"), Some("2000")]),
                "too small: 2.5 of cpus asked for, at most 2 there",
            ),
            (
                one("occupied", [Some("memory"), Some("1048576"), Some("0")]),
                "occupied: 1MiB of memory asked for, at most 0B free",
            ),
            (
                one("occupied", [Some("licence"), Some("2"), Some("1")]),
                "occupied: 2 of licence asked for, at most 1 free",
            ),
            (one("away", [None; 3]), "away for the moment"),
            (one("lost", [None; 3]), "not heard of"),
            (
                one("limits", [Some("memory,pids"), None, None]),
                "cannot enforce the limits memory,pids",
            ),
            (one("refusing", [None; 3]), "refuse work"),
            (one("unconfirmed", [None; 3]), "have yet to stop"),
            (one("has-replica", [None; 3]), "have a replica already"),
            (one("kept", [None; 3]), "kept free"),
        ];
        for (obstruction, expected) in cases {
            let told = Room {
                halt: None,
                nodes: 4,
                free: 0,
                obstructions: vec![obstruction],
            };
            let english = room(Language::English, &told);
            assert!(english[0].starts_with("nodes 4: "), "{english:?}");
            assert!(english[0].contains(expected), "{english:?}");
            assert!(english[0].ends_with("(n1, n2, n3, …)"), "{english:?}");
            assert_ne!(room(Language::Spanish, &told), english);
        }
    }

    #[test]
    fn what_holds_all_work_back_comes_first() {
        let told = |halt: Option<&str>, nodes, free| {
            let halt = halt.map(str::to_owned);
            let obstructions = Vec::new();
            let told = Room {
                halt,
                nodes,
                free,
                obstructions,
            };
            room(Language::English, &told)
        };
        assert!(told(Some("store-behind"), 2, 2)[0].contains("flota recover"));
        assert!(told(Some("nodes-awaited"), 2, 0)[0].contains("just started"));
        assert_eq!(told(None, 0, 0), ["no node has joined"]);
        assert!(told(None, 3, 1)[0].starts_with("1 of the nodes have room"));
    }
}
