//! Clients of the older systems, at their customary addresses.
//!
//! Clients of the oldest one dial several hosts on one port, so that each node has a loopback address of
//! its own.

use std::{fs, io, path::Path};

use flota_client::Language;
use serde_json::{Map, Value, json};

/// Where the server, and each agent, says where it listens.
const ADDRESSES: &str = "addresses.json";
/// Customary ports of the line protocol.
const GESTOR: u16 = 5_000;
const POSIX: u16 = 5_002;
/// Adapters that this version does not have.
const MISSING: [&str; 2] = ["imaging", "monitor"];
/// Customary port of the master of the older cluster.
const MASTER: u16 = 5_001;
/// Those of its slaves follow this one.
const SLAVES: u16 = 5_010;
/// Those of its monitors of memory follow this one, up to the slaves.
const MONITORS: u16 = 5_002;

/// What an agent is told, e.g. `gestor=127.0.0.2:5000,posix=127.0.0.2:5002`.
pub(super) fn line_listeners(number: u32) -> String {
    format!("gestor=127.0.0.{number}:{GESTOR},posix=127.0.0.{number}:{POSIX}")
}

/// Where the master of the older cluster is.
pub(super) fn master() -> String {
    format!("127.0.0.1:{MASTER}")
}

/// Options of the slave and of the monitor of an agent.
pub(super) fn hpc_listeners(number: u32) -> Vec<String> {
    let number = u16::try_from(number).unwrap_or(u16::MAX);
    let mut options = vec![
        "--slave-listen".to_owned(),
        format!("127.0.0.1:{}", SLAVES.saturating_add(number)),
    ];
    if MONITORS.saturating_add(number) <= SLAVES {
        options.push("--memory-listen".to_owned());
        options.push(format!("127.0.0.1:{}", MONITORS + number));
    }
    options
}

/// For people.
pub(super) fn told(language: Language, count: u32) -> String {
    let last = if count > 1 {
        format!("–{count}")
    } else {
        String::new()
    };
    let here = format!("line: gestor 127.0.0.1{last}:{GESTOR}, posix 127.0.0.1{last}:{POSIX}");
    let hpc = format!(
        "hpc: master {}, slaves from 127.0.0.1:{}, monitors from 127.0.0.1:{}",
        master(),
        SLAVES + 1,
        MONITORS + 1
    );
    let missing = language.dev_compat_missing(MISSING.join(", "));
    format!(
        "{}\n{}\n{missing}",
        language.dev_compat(here),
        language.dev_compat(hpc)
    )
}

/// Adds the addresses of all nodes to the file of the server, which is never seen half written.
pub(super) fn gather(folder: &Path, count: u32) -> io::Result<()> {
    let path = folder.join(ADDRESSES);
    let mut all: Map<String, Value> = serde_json::from_slice(&fs::read(&path)?)?;
    let mut nodes = Map::new();
    for name in (1..=count).map(|number| format!("n{number}")) {
        // An agent that is not there yet is told of as missing before.
        if let Ok(text) = fs::read(folder.join("nodes").join(&name).join(ADDRESSES)) {
            let own: Value = serde_json::from_slice(&text)?;
            let mut node = json!({"line": own["line"]});
            for word in ["hpc.slave", "hpc.memory"] {
                if let Some(address) = own.get(word) {
                    node[word] = address.clone();
                }
            }
            nodes.insert(name, node);
        }
    }
    all.insert("nodes".to_owned(), Value::Object(nodes));
    let new = path.with_extension("json.new");
    fs::write(&new, format!("{:#}\n", Value::Object(all)))?;
    fs::rename(&new, &path)
}
