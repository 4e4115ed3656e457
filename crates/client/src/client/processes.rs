//! Processes of nodes.

use std::{fmt, time::Duration};

use flota_model::units::Bytes;
use flota_wire::{
    quantity::format_duration,
    rest::{
        inspect::ProcessDetails,
        process::{Process, ProcessGroups, Processes, Signalled, Stopped},
    },
};

use super::{
    Client,
    request::{Call, escape, with_query},
};
use crate::fault::ClientFault;

/// What a stop may take at the server beyond its grace.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// A page of the processes.
#[derive(Debug, Clone, Default)]
pub struct ProcessesQuery {
    /// Names or numbers; all nodes when empty.
    pub nodes: Vec<String>,
    /// Only those with this in their name or command line.
    pub name: Option<String>,
    /// Only those whose name or command line this regular expression finds.
    pub regex: Option<String>,
    /// Only those in one of these states: letters, with commas between or not.
    pub states: Option<String>,
    /// Only those that use at least so many percent of a core.
    pub cpu_min: Option<u32>,
    /// Only those with at least so much resident memory.
    pub memory_min: Option<Bytes>,
    /// Only those of this user, by name or number.
    pub user: Option<String>,
    /// Only those that run for this job.
    pub job: Option<u64>,
    /// Only those that Flota runs.
    pub managed: bool,
    /// Without threads of the kernel.
    pub no_kernel: bool,
    /// The order; the server's when absent.
    pub sort: Option<String>,
    /// At most so many; the server's default when absent.
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub after: Option<String>,
}

impl ProcessesQuery {
    fn path(&self) -> String {
        let page = [
            ("sort", self.sort.clone()),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("after", self.after.clone()),
        ];
        with_query("/api/v1/processes", &[&self.filter()[..], &page].concat())
    }

    fn groups_path(&self, by: &str) -> String {
        let groups = [
            ("by", Some(by.to_owned())),
            ("sort", self.sort.clone()),
            ("limit", self.limit.map(|limit| limit.to_string())),
        ];
        let pairs = [&self.filter()[..], &groups].concat();
        with_query("/api/v1/processes/groups", &pairs)
    }

    pub(super) fn watch_path(&self, interval: Duration) -> String {
        let tick = [("interval", Some(format_duration(interval)))];
        with_query(
            "/api/v1/processes/watch",
            &[&self.filter()[..], &tick].concat(),
        )
    }

    /// Whose processes, and which.
    fn filter(&self) -> Vec<(&'static str, Option<String>)> {
        let nodes = (!self.nodes.is_empty()).then(|| self.nodes.join(","));
        vec![
            ("node", nodes),
            ("name", self.name.clone()),
            ("regex", self.regex.clone()),
            ("state", self.states.clone()),
            ("cpu_min", self.cpu_min.map(|percent| percent.to_string())),
            (
                "memory_min",
                self.memory_min.map(|bytes| bytes.0.to_string()),
            ),
            ("user", self.user.clone()),
            ("job", self.job.map(|job| job.to_string())),
            ("managed", self.managed.then(|| "true".to_owned())),
            ("kernel", self.no_kernel.then(|| "false".to_owned())),
        ]
    }
}

/// Which process is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessName {
    /// That very one, or none.
    Handle(String),
    /// Whoever has that number.
    Number {
        /// Name or number of the node.
        node: String,
        /// The number.
        pid: u32,
    },
}

impl ProcessName {
    fn path(&self) -> String {
        match self {
            Self::Handle(handle) => format!("/api/v1/processes/{}", escape(handle)),
            Self::Number { node, pid } => {
                format!("/api/v1/nodes/{}/processes/{pid}", escape(node))
            }
        }
    }

    /// A number is taken by the server only if somebody insists: here, the caller did.
    fn order(&self, word: &str, name: &str, value: String) -> String {
        let force = matches!(self, Self::Number { .. }).then(|| "true".to_owned());
        let path = format!("{}/{word}", self.path());
        with_query(&path, &[(name, Some(value)), ("force", force)])
    }
}

/// The handle, or `NODE/PID`.
impl fmt::Display for ProcessName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handle(handle) => formatter.write_str(handle),
            Self::Number { node, pid } => write!(formatter, "{node}/{pid}"),
        }
    }
}

impl Client {
    /// `GET /api/v1/processes`: one page. Nodes that did not answer are listed in it.
    pub async fn processes(&mut self, query: &ProcessesQuery) -> Result<Processes, ClientFault> {
        self.get(query.path()).await
    }

    /// `GET /api/v1/processes/groups`: sums by `name`, `user`, `cgroup`, `job` or `node`.
    pub async fn process_groups(
        &mut self,
        by: &str,
        query: &ProcessesQuery,
    ) -> Result<ProcessGroups, ClientFault> {
        self.get(query.groups_path(by)).await
    }

    /// `GET /api/v1/processes/{handle}`, or by its number.
    pub async fn process(&mut self, name: &ProcessName) -> Result<Process, ClientFault> {
        self.get(name.path()).await
    }

    /// The same address, with all that is told; `with_values` asks for the values of variables too.
    pub async fn process_details(
        &mut self,
        name: &ProcessName,
        with_values: bool,
    ) -> Result<ProcessDetails, ClientFault> {
        let values = with_values.then(|| "true".to_owned());
        self.get(with_query(&name.path(), &[("environment", values)]))
            .await
    }

    /// `POST …/signal`. It is never sent twice: the caller decides what to do when no answer comes.
    pub async fn signal(
        &mut self,
        name: &ProcessName,
        signal: u8,
    ) -> Result<Signalled, ClientFault> {
        let call = Call::post(name.order("signal", "signal", signal.to_string())).once();
        let answer = self.perform(&call).await?;
        self.parse(&call.path, answer)
    }

    /// `POST …/stop`: answers when the process and its descendants are gone. Never sent twice.
    pub async fn stop(
        &mut self,
        name: &ProcessName,
        grace: Duration,
    ) -> Result<Stopped, ClientFault> {
        let path = name.order("stop", "grace", format_duration(grace));
        let call = Call::post(path).once().patient(grace + STOP_PATIENCE);
        let answer = self.perform(&call).await?;
        self.parse(&call.path, answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_in_the_address() {
        let query = ProcessesQuery {
            nodes: vec!["n1".into(), "n2".into()],
            name: Some("a b".into()),
            managed: true,
            no_kernel: true,
            sort: Some("cpu".into()),
            ..ProcessesQuery::default()
        };
        let expected =
            "/api/v1/processes?node=n1%2Cn2&name=a%20b&managed=true&kernel=false&sort=cpu";
        assert_eq!(query.path(), expected);
        assert_eq!(ProcessesQuery::default().path(), "/api/v1/processes");
        let query = ProcessesQuery {
            regex: Some("^a".into()),
            states: Some("D".into()),
            cpu_min: Some(50),
            memory_min: Some(Bytes(1024)),
            limit: Some(5),
            ..ProcessesQuery::default()
        };
        let expected = "/api/v1/processes/groups?regex=%5Ea&state=D&cpu_min=50&memory_min=1024&by=user&limit=5";
        assert_eq!(query.groups_path("user"), expected);
    }

    #[test]
    fn only_a_number_is_forced() {
        let handle = ProcessName::Handle("1-ab-7-5-9".into());
        assert_eq!(
            handle.order("signal", "signal", "9".into()),
            "/api/v1/processes/1-ab-7-5-9/signal?signal=9"
        );
        let number = ProcessName::Number {
            node: "n/1".into(),
            pid: 7,
        };
        assert_eq!(
            number.order("stop", "grace", "10s".into()),
            "/api/v1/nodes/n%2F1/processes/7/stop?grace=10s&force=true"
        );
    }
}
