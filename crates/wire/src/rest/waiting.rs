//! Why work waits for room.

use flota_model::waiting::{self, Obstacle, Shortage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which room there is for some work that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Room {
    /// `store-behind` or `nodes-awaited` where nothing at all is placed now.
    pub halt: Option<String>,
    /// Nodes that have joined.
    pub nodes: u32,
    /// Nodes with room: the work is on its way there.
    pub free: u32,
    /// What keeps it from the others, the most frequent first; at most 16.
    pub obstructions: Vec<Obstruction>,
}

/// What keeps work from some nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Obstruction {
    /// `kernels-only`, `other-node`, `label`, `too-small`, `away`, `lost`, `limits`, `refusing`, `unconfirmed`,
    /// `has-replica`, `occupied` or `kept`: the first of these that is so.
    pub reason: String,
    /// At how many nodes.
    pub nodes: u32,
    /// Names of at most three of them.
    pub names: Vec<String>,
    /// Of `label`: its name; of `too-small` and `occupied`: `cpus`, `memory` or the name of a counter;
    /// of `limits`: those that cannot be enforced, with commas between.
    pub of: Option<String>,
    /// What is asked for: a value of the label, thousandths of a core, bytes, or units of a counter.
    pub wanted: Option<String>,
    /// What there is instead, at the node that has most of it.
    pub found: Option<String>,
}

impl From<&waiting::Room> for Room {
    fn from(room: &waiting::Room) -> Self {
        Self {
            halt: room.halt.map(|halt| halt.word().to_owned()),
            nodes: room.nodes,
            free: room.free,
            obstructions: room.obstructions.iter().map(Obstruction::from).collect(),
        }
    }
}

impl From<&waiting::Obstruction> for Obstruction {
    fn from(obstruction: &waiting::Obstruction) -> Self {
        let (of, wanted, found) = details(&obstruction.obstacle);
        Self {
            reason: obstruction.obstacle.word().to_owned(),
            nodes: obstruction.nodes,
            names: obstruction.names.clone(),
            of,
            wanted,
            found,
        }
    }
}

type Words = (Option<String>, Option<String>, Option<String>);

fn details(obstacle: &Obstacle) -> Words {
    match obstacle {
        Obstacle::Label { key, wanted, found } => {
            (Some(key.clone()), Some(wanted.clone()), found.clone())
        }
        Obstacle::TooSmall(shortage) | Obstacle::Occupied(shortage) => of_shortage(shortage),
        Obstacle::Limits(missing) => {
            let words: Vec<&str> = missing
                .iter()
                .map(flota_model::containment::LimitKind::word)
                .collect();
            (Some(words.join(",")), None, None)
        }
        Obstacle::KernelsOnly
        | Obstacle::OtherNode
        | Obstacle::Away
        | Obstacle::Lost
        | Obstacle::Refusing
        | Obstacle::Unconfirmed
        | Obstacle::HasReplica
        | Obstacle::Kept => (None, None, None),
    }
}

fn of_shortage(shortage: &Shortage) -> Words {
    let amounts = [shortage.wanted, shortage.found].map(|amount| Some(amount.to_string()));
    let [wanted, found] = amounts;
    let name = shortage.resource.word().to_owned();
    (Some(name), wanted, found)
}
