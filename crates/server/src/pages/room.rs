//! Why work waits for room, in the words of the pages.

use flota_model::{
    containment::{LimitKind, LimitSet},
    units::Cpus,
    waiting::{Halt, Obstacle, Obstruction, Resource, Room, Shortage},
};

use super::{html::Text, language::Language, time};

/// The words of one language.
struct Words {
    halt: fn(Halt) -> &'static str,
    no_nodes: &'static str,
    nodes: &'static str,
    on_its_way: &'static str,
    reason: fn(&Obstacle) -> String,
}

const EN: Words = Words {
    halt: |halt| match halt {
        Halt::StoreBehind => "nothing is placed before somebody runs flota recover",
        Halt::NodesAwaited => "the server has just started and waits for the nodes that it knew",
        Halt::QueuePaused => "somebody holds all batch work back: flota queue show",
    },
    no_nodes: "no node has joined",
    nodes: "nodes",
    on_its_way: "have room: it is on its way",
    reason: |obstacle| match obstacle {
        Obstacle::KernelsOnly => "run only some kernels".to_owned(),
        Obstacle::OtherNode => "another node is asked for".to_owned(),
        Obstacle::Label { key, wanted, found } => match found {
            Some(found) => format!("label {key} is {found}, not {wanted}"),
            None => format!("no label {key}={wanted}"),
        },
        Obstacle::TooSmall(shortage) => {
            let (of, wanted, found) = amounts(shortage);
            format!("too small: {wanted} of {of} asked for, at most {found} there")
        }
        Obstacle::Occupied(shortage) => {
            let (of, wanted, found) = amounts(shortage);
            format!("occupied: {wanted} of {of} asked for, at most {found} free")
        }
        Obstacle::Away => "away for the moment".to_owned(),
        Obstacle::Lost => "not heard of".to_owned(),
        Obstacle::Limits(missing) => format!("cannot enforce the limits {}", limits(*missing)),
        Obstacle::Refusing => "refuse work at the moment (a full disk, say)".to_owned(),
        Obstacle::Unconfirmed => "have yet to stop what was replaced elsewhere".to_owned(),
        Obstacle::HasReplica => "have a replica already, and may have one only".to_owned(),
        Obstacle::Kept => "kept free for work that has waited longer".to_owned(),
    },
};

const ES: Words = Words {
    halt: |halt| match halt {
        Halt::StoreBehind => "no se coloca nada hasta que alguien ejecute flota recover",
        Halt::NodesAwaited => "el servidor acaba de arrancar y espera a los nodos que conocía",
        Halt::QueuePaused => "alguien retiene todo el trabajo por lotes: flota queue show",
    },
    no_nodes: "no se ha unido ningún nodo",
    nodes: "nodos",
    on_its_way: "tienen sitio: va en camino",
    reason: |obstacle| match obstacle {
        Obstacle::KernelsOnly => "solo ejecutan algunos kernels".to_owned(),
        Obstacle::OtherNode => "se pide otro nodo".to_owned(),
        Obstacle::Label { key, wanted, found } => match found {
            Some(found) => format!("la etiqueta {key} es {found}, no {wanted}"),
            None => format!("sin la etiqueta {key}={wanted}"),
        },
        Obstacle::TooSmall(shortage) => {
            let (of, wanted, found) = amounts(shortage);
            format!("demasiado pequeños: se piden {wanted} de {of}, hay {found} como mucho")
        }
        Obstacle::Occupied(shortage) => {
            let (of, wanted, found) = amounts(shortage);
            format!("ocupados: se piden {wanted} de {of}, hay {found} libres como mucho")
        }
        Obstacle::Away => "ausentes de momento".to_owned(),
        Obstacle::Lost => "sin noticias".to_owned(),
        Obstacle::Limits(missing) => {
            format!("no pueden imponer los límites {}", limits(*missing))
        }
        Obstacle::Refusing => "rechazan trabajo de momento (disco lleno, por ejemplo)".to_owned(),
        Obstacle::Unconfirmed => "aún deben detener lo que se sustituyó en otro sitio".to_owned(),
        Obstacle::HasReplica => "ya tienen una réplica y solo pueden tener una".to_owned(),
        Obstacle::Kept => "reservados para trabajo que espera desde antes".to_owned(),
    },
};

fn limits(missing: LimitSet) -> String {
    let words: Vec<&str> = missing.iter().map(LimitKind::word).collect();
    words.join(", ")
}

fn amounts(shortage: &Shortage) -> (&str, String, String) {
    let amount = |amount: u64| match shortage.resource {
        Resource::Cpus => Cpus(u32::try_from(amount).unwrap_or(u32::MAX)).to_string(),
        Resource::Memory => time::size(amount),
        Resource::Counter(_) => amount.to_string(),
    };
    let (wanted, found) = (amount(shortage.wanted), amount(shortage.found));
    (shortage.resource.word(), wanted, found)
}

/// One item for each reason.
pub(super) fn list(language: Language, room: &Room) -> String {
    let words = match language {
        Language::English => &EN,
        Language::Spanish => &ES,
    };
    let mut items = Vec::new();
    items.extend(room.halt.map(|halt| (words.halt)(halt).to_owned()));
    if room.nodes == 0 {
        items.push(words.no_nodes.to_owned());
    }
    if room.free > 0 {
        items.push(format!(
            "{} {} {}",
            room.free, words.nodes, words.on_its_way
        ));
    }
    items.extend(room.obstructions.iter().map(|one| item(words, one)));
    let items = items.iter().map(|item| format!("<li>{}</li>", Text(item)));
    format!("<ul>{}</ul>", items.collect::<String>())
}

fn item(words: &Words, one: &Obstruction) -> String {
    let more = if one.nodes as usize > one.names.len() {
        ", …"
    } else {
        ""
    };
    let (reason, names) = ((words.reason)(&one.obstacle), one.names.join(", "));
    format!("{} {}: {reason} ({names}{more})", one.nodes, words.nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words_of_its_own_in_both_languages() {
        let shortage = |resource, wanted| Shortage {
            resource,
            wanted,
            found: 1_024,
        };
        let label = |found: Option<&str>| Obstacle::Label {
            key: "zone".to_owned(),
            wanted: "north".to_owned(),
            found: found.map(str::to_owned),
        };
        let obstacles = [
            Obstacle::KernelsOnly,
            Obstacle::OtherNode,
            label(None),
            label(Some("<south>")),
            Obstacle::TooSmall(shortage(Resource::Memory, 2_048)),
            Obstacle::Occupied(shortage(Resource::Cpus, 2_500)),
            Obstacle::Occupied(shortage(Resource::Counter("licence".to_owned()), 2)),
            Obstacle::Away,
            Obstacle::Lost,
            Obstacle::Limits([LimitKind::Memory].into_iter().collect()),
            Obstacle::Refusing,
            Obstacle::Unconfirmed,
            Obstacle::HasReplica,
            Obstacle::Kept,
        ];
        let mut seen = std::collections::BTreeSet::new();
        for obstacle in obstacles {
            let room = Room {
                nodes: 5,
                obstructions: vec![Obstruction {
                    obstacle,
                    nodes: 5,
                    names: vec!["n1".to_owned()],
                }],
                ..Room::default()
            };
            for language in [Language::English, Language::Spanish] {
                let text = list(language, &room);
                assert!(text.contains("(n1, …)</li>"), "{text}");
                assert!(!text.contains("<south>"), "{text}");
                assert!(seen.insert(text));
            }
        }
        for halt in [
            Some(Halt::StoreBehind),
            Some(Halt::NodesAwaited),
            Some(Halt::QueuePaused),
            None,
        ] {
            let room = Room {
                halt,
                ..Room::default()
            };
            assert!(seen.insert(list(Language::English, &room)));
        }
    }
}
