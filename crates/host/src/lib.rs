//! What `flota` is on one machine, around server, agent and client: its settings, its logging, `dev`.
//!
//! What this crate does NOT do: nothing of a fleet is decided here, and nothing is served. It is
//! the only crate that reads the environment.

mod context;
mod copies;
mod dev;
mod doctor;
mod environment;
mod former;
mod load;
mod logging;
mod login;
mod machine;
mod settings;
mod signals;
mod store_failure;

pub use context::{Context, Threads, folder_held};
pub use copies::{backup, restore};
pub use dev::{Child, dev, follow_parent, share, url_of_server};
pub use doctor::doctor;
pub use environment::{Environment, host_name};
pub use former::tell_former_names;
pub use load::{innermost, load};
pub use logging::{Logging, start_logging, start_small_logging};
pub use login::{LOGIN_TOKEN, login_token};
pub use machine::{KEEPER, machine, process_lister, stop_all};
pub use settings::Settings;
pub use signals::EndSignals;
pub use store_failure::{damaged, of_load, of_open};
