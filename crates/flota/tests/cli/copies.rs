//! Copies of the store, and a fleet that goes on from one.

use std::fs;

use rustix::process::Signal;

use crate::home::{Home, Running, eventually};

const AGENTS: [&str; 2] = ["n1", "n2"];

/// A server and two agents, each a process of its own.
struct Fleet<'a> {
    home: &'a Home,
    address: String,
    server: Option<Running>,
    agents: Vec<Running>,
}

impl<'a> Fleet<'a> {
    fn start(home: &'a Home) -> Self {
        let mut fleet = Self {
            home,
            address: "127.0.0.1:0".into(),
            server: None,
            agents: Vec::new(),
        };
        fleet.start_server("flota submit");
        let addresses = fs::read_to_string(home.data().join("addresses.json")).unwrap();
        let addresses: serde_json::Value = serde_json::from_str(&addresses).unwrap();
        addresses["http"]
            .as_str()
            .unwrap()
            .clone_into(&mut fleet.address);
        let url = format!("http://{}", fleet.address);
        for name in AGENTS {
            let data = home.path().join(name).display().to_string();
            let agent = [
                "agent", "--server", &url, "--name", name, "--cpus", "2", "--data", &data,
            ];
            fleet.agents.push(home.start(&agent, "Ctrl-C detaches"));
        }
        fleet.nodes_are_up();
        fleet
    }

    fn start_server(&mut self, ready: &str) {
        let server = ["server", "--listen", &self.address];
        self.server = Some(self.home.start(&server, ready));
    }

    fn nodes_are_up(&self) {
        eventually("both nodes are up", || {
            let nodes = self.home.line("node ls -o json");
            (nodes.out.matches("\"up\"").count() == AGENTS.len()).then_some(())
        });
    }

    /// Ends the server as a power cut does.
    fn kill_server(&mut self) {
        let server = self.server.take().unwrap();
        server.signal(Signal::KILL);
        server.end();
    }

    /// Submits a job whose tasks each leave a line in the file `name` and wait for `NAME-gate`.
    fn submit(&self, name: &str, tasks: u32) -> String {
        let path = self.home.path().join(name).display().to_string();
        let script =
            format!("echo {{index}} >> {path}; while [ ! -e {path}-gate ]; do sleep 0.05; done");
        let array = format!("0-{}", tasks - 1);
        let submit = ["submit", "-q", "--array", &array, "--cpus", "0.1", "--"];
        let told = self
            .home
            .run(&[&submit[..], &["sh", "-c", &script]].concat());
        eventually("all its tasks run", || {
            (self.starts(name) == tasks as usize).then_some(())
        });
        told.succeeded().out.trim().to_owned()
    }

    fn open(&self, name: &str) {
        fs::write(self.home.path().join(format!("{name}-gate")), "").unwrap();
    }

    /// How many tasks of `name` were started up to now, again counted again.
    fn starts(&self, name: &str) -> usize {
        fs::read_to_string(self.home.path().join(name)).map_or(0, |text| text.lines().count())
    }

    /// Every task of the job succeeded, by one attempt that counted.
    fn all_counted_once(&self, job: &str, tasks: u32) {
        self.home.line(&format!("job wait {job}")).succeeded();
        let counts = &self.home.json(&format!("job show {job} -o json"))["tasks"];
        assert_eq!(counts["succeeded"], tasks, "{counts}");
        let told = self.home.json(&format!("job tasks {job} -o json"));
        let told = told.as_array().unwrap();
        assert_eq!(told.len(), tasks as usize);
        for task in told {
            let attempts = task["attempts"].as_array().unwrap();
            let counted = attempts.iter().filter(|one| one["counted"] == true);
            assert_eq!(counted.count(), 1, "{task}");
        }
    }
}

#[test]
fn a_fleet_goes_on_from_a_copy_that_was_made_while_it_worked() {
    let home = Home::new();
    let mut fleet = Fleet::start(&home);
    let ended = fleet.submit("ended", 3);
    fleet.open("ended");
    fleet.all_counted_once(&ended, 3);
    let running = fleet.submit("running", 3);
    let ends_soon = fleet.submit("ends-soon", 2);

    let told = home.line("backup copy.db").succeeded();
    assert!(told.err.contains("store copied to copy.db"), "{told:?}");
    home.line("backup copy.db").failed(6, &["E-FILE-EXISTS"]);

    // What the copy does not know: two ends that were acknowledged, and two jobs.
    fleet.open("ends-soon");
    fleet.all_counted_once(&ends_soon, 2);
    let later = fleet.submit("later", 2);
    fleet.open("later");
    fleet.all_counted_once(&later, 2);
    fleet.submit("unknown", 1);

    home.line("restore copy.db --force")
        .failed(6, &["E-FOLDER-HELD", "process "]);
    fleet.kill_server();
    home.line("restore copy.db")
        .failed(6, &["E-STORE-EXISTS", "--force"]);
    let told = home.line("restore copy.db --force").succeeded();
    assert!(told.err.contains("flota.db.before-restore\n"), "{told:?}");
    assert!(told.err.contains("flota fleet recover"), "{told:?}");

    // It starts, tells so, and holds still.
    fleet.start_server("frozen ");
    assert_eq!(home.json("fleet show -o json")["store_behind"], true);
    let waiting = home.line("submit -q -- true").succeeded().out;
    assert!(
        !home.processes_with("/unknown").is_empty(),
        "nothing is stopped"
    );
    assert_eq!(
        home.line(&format!("job show {later}")).code,
        Some(0),
        "its number is taken anew"
    );

    home.line("fleet recover")
        .failed(0, &["work is placed again"]);
    home.line("fleet recover").failed(6, &["E-STORE-CURRENT"]);
    assert_eq!(home.json("fleet show -o json")["store_behind"], false);
    fleet.nodes_are_up();
    fleet.all_counted_once(waiting.trim(), 1);
    eventually("what the copy does not know is stopped", || {
        home.processes_with("/unknown").is_empty().then_some(())
    });
    // Those that ran all the while are still the same ones.
    fleet.open("running");
    fleet.all_counted_once(&running, 3);
    assert_eq!(fleet.starts("running"), 3, "nothing ran twice");
    // Those whose end is not in the copy run again.
    fleet.all_counted_once(&ends_soon, 2);
    assert_eq!(fleet.starts("ends-soon"), 4);
    fleet.all_counted_once(&ended, 3);
    assert_eq!(fleet.starts("ended"), 3);
    assert_eq!(home.line("job ls -q").succeeded().out.lines().count(), 4);

    for agent in fleet.agents.drain(..) {
        agent.stop().succeeded();
    }
    for name in AGENTS {
        let data = home.path().join(name).display().to_string();
        home.run(&["agent", "stop", "--all", "--data", &data])
            .succeeded();
    }
    fleet.server.take().unwrap().stop().succeeded();
}

#[test]
fn what_is_no_store_is_neither_copied_nor_put_back() {
    let home = Home::new();
    home.line("backup copy.db")
        .failed(3, &["E-STORE-MISSING", "--data"]);
    assert!(!home.path().join("copy.db").exists());
    home.line("restore nowhere.db")
        .failed(3, &["E-STORE-MISSING"]);
    fs::write(
        home.path().join("notes.db"),
        "these are the notes of somebody",
    )
    .unwrap();
    home.line("restore notes.db")
        .failed(1, &["E-STORE-DAMAGED", "notes.db"]);
    home.line("--lang es restore notes.db")
        .failed(1, &["no es un almacén de Flota entero"]);
    assert!(!home.data().join("flota.db").exists());
}
