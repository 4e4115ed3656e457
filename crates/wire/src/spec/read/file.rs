//! A file of services, as a person writes it: shorter than the spec of a job, and several at once.
//!
//! ```toml
//! [service.web]
//! program = "./web"
//! args = ["--port", "8080"]
//! env = { MODE = "fast" }
//! replicas = 3
//! readiness = { http = ":8080/ready" }
//! dependencies = { db = "healthy" }
//! ```

use flota_model::{
    service::{Purpose, Service},
    spec::{JobSpec, LogKind, Priority, Program, Retry, Work},
};

use super::{
    Fields, GRACE_DEFAULT, Given, SERVICE_CPUS, constraints, entries, execution, logs,
    on_disconnect, program, resources, service,
};
use crate::spec::{check, fault::Faults, tree::Tree};

/// Most services of a file.
pub const SERVICES_MAX: usize = 1_000;
/// Most files of variables of a service.
pub const ENVIRONMENT_FILES_MAX: usize = 16;

/// A service of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredService {
    /// All but the variables of its files.
    pub spec: JobSpec,
    /// Paths of files with variables, which whoever has the file reads; what is in `spec` comes
    /// before them, and a later file before an earlier one.
    pub environment_files: Vec<String>,
}

/// Reads all services, by name or in the order of the list.
pub(in crate::spec) fn services(tree: Tree, faults: &mut Faults) -> Vec<DeclaredService> {
    let Some(mut fields) = Fields::of(String::new(), tree, faults) else {
        return Vec::new();
    };
    let mut services = Vec::new();
    for name in ["service", "services"] {
        if let Some(given) = fields.take(name) {
            read(given, &mut services, faults);
        }
    }
    fields.finish(faults);
    let names: std::collections::BTreeSet<&str> = services.iter().map(name_of).collect();
    if services.is_empty() {
        let hint = "begin with `[service.NAME]`";
        faults.add_with_hint("service", "the file has no service", hint);
    } else if services.len() > SERVICES_MAX {
        let what = format!("{} services, at most {SERVICES_MAX}", services.len());
        faults.add("service", what);
    } else if names.len() < services.len() {
        faults.add("service", "two services have the same name");
    }
    services
}

fn name_of(declared: &DeclaredService) -> &str {
    &declared.spec.name
}

fn read(given: Given, services: &mut Vec<DeclaredService>, faults: &mut Faults) {
    if let Tree::List(_) = given.tree {
        let items = given.items(faults);
        services.extend(items.into_iter().filter_map(|item| one(None, item, faults)));
        return;
    }
    let Some(fields) = Fields::of(given.path, given.tree, faults) else {
        return;
    };
    let mut named = fields.entries(faults, |given, _| Some(given));
    while let Some((name, given)) = named.pop_first() {
        services.extend(one(Some(name), given, faults));
    }
}

fn one(name: Option<String>, given: Given, faults: &mut Faults) -> Option<DeclaredService> {
    let place = Place::of(&given);
    let mut fields = Fields::of(given.path, given.tree, faults)?;
    let name = name.or_else(|| {
        let given = fields.required("name", faults);
        given.and_then(|given| given.text(faults))
    });
    let program = of_program(&mut fields, faults);
    let environment_files = fields
        .take("env_file")
        .map(|given| one_or_more(given, faults))
        .unwrap_or_default();
    if environment_files.len() > ENVIRONMENT_FILES_MAX {
        let what = format!(
            "{} files, at most {ENVIRONMENT_FILES_MAX}",
            environment_files.len()
        );
        faults.add(&place.of_field("env_file"), what);
    }
    let service = service::parts(&mut fields, faults);
    let spec = JobSpec {
        name: name.unwrap_or_default(),
        tasks: check::REPLICAS,
        parameters: None,
        work: Work::Program(program),
        priority: fields
            .take("priority")
            .and_then(|given| given.whole(faults))
            .map_or(Priority::MEDIUM, Priority),
        resources: resources(fields.take("resources"), SERVICE_CPUS, faults),
        constraints: constraints(fields.take("constraints"), faults),
        retry: Retry::default(),
        timeout: None,
        grace: fields
            .take("grace")
            .and_then(|given| given.duration(faults))
            .unwrap_or(GRACE_DEFAULT),
        on_disconnect: fields
            .take("on_disconnect")
            .and_then(|given| on_disconnect(given, faults))
            .unwrap_or_default(),
        rules: Box::default(),
        service: Some(Box::new(service)),
    };
    fields.finish(faults);
    place.check(&spec, faults);
    Some(DeclaredService {
        spec,
        environment_files,
    })
}

/// `program` is a name with `args` beside it, a list, or a table as in the spec of a job. Logs are
/// rotated if nothing is said: a service writes for as long as it runs.
fn of_program(fields: &mut Fields, faults: &mut Faults) -> Program {
    let given = fields.required("program", faults);
    let is_long = matches!(
        &given,
        Some(Given {
            tree: Tree::Table(_),
            ..
        })
    );
    let mut program = match given {
        Some(Given {
            tree: Tree::Text(name),
            ..
        }) => Program {
            argv: vec![name],
            ..Program::default()
        },
        Some(
            given @ Given {
                tree: Tree::List(_),
                ..
            },
        ) => Program {
            argv: given.texts(faults),
            ..Program::default()
        },
        Some(given) => program(given, faults),
        // The fault of its absence is told already.
        None => Program {
            argv: vec!["?".to_owned()],
            ..Program::default()
        },
    };
    if !is_long {
        *program.execution = execution::read(fields, faults);
    }
    if let Some(given) = fields.take("args") {
        program.argv.extend(given.texts(faults));
    }
    let env = entries(fields.take("env"), faults, Given::scalar);
    program.environment.extend(env);
    program.logs = match fields.take("logs") {
        Some(given) => logs(given, faults).unwrap_or_default(),
        None if program.logs == LogKind::Captured => LogKind::Rotated,
        None => program.logs,
    };
    let mut text = |name| {
        let given = fields.take(name);
        given.and_then(|given: Given| given.text(faults))
    };
    let (folder, stdin) = (text("cwd"), text("stdin"));
    program.working_directory = folder.or(program.working_directory);
    program.stdin = stdin.or(program.stdin);
    program
}

fn one_or_more(given: Given, faults: &mut Faults) -> Vec<String> {
    if let Tree::List(_) = given.tree {
        return given.texts(faults);
    }
    given.text(faults).into_iter().collect()
}

/// Where a service is in its file, and how its parts are written there.
struct Place {
    path: String,
    /// Whether `program` is a table, with the names of a spec.
    is_long: bool,
    /// Arguments that are in `program`.
    in_program: usize,
    /// Probes that are in `probes`.
    in_probes: usize,
}

impl Place {
    fn of(given: &Given) -> Self {
        let field = |name: &str| {
            let Tree::Table(table) = &given.tree else {
                return None;
            };
            table.get(name)
        };
        let length = |tree: Option<&Tree>| {
            let Some(Tree::List(list)) = tree else {
                return 0;
            };
            list.len()
        };
        Self {
            path: given.path.clone(),
            is_long: matches!(field("program"), Some(Tree::Table(_))),
            in_program: length(field("program")),
            in_probes: length(field("probes")),
        }
    }

    fn of_field(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// The bounds of the spec, with the paths of the file.
    fn check(&self, spec: &JobSpec, faults: &mut Faults) {
        let mut found = Faults::default();
        check::bounds(spec, None, &mut found);
        faults.adopt(found, |field| self.of_field(&self.written(field, spec)));
    }

    /// The path in the file of a path in the spec.
    fn written(&self, field: &str, spec: &JobSpec) -> String {
        if let Some(rest) = field.strip_prefix("service.probes[") {
            return self.probe(rest, spec);
        }
        if let Some(rest) = field.strip_prefix("service.") {
            return rest.to_owned();
        }
        if self.is_long {
            return field.to_owned();
        }
        if let Some(index) = field.strip_prefix("program.argv[") {
            let index = index.trim_end_matches(']').parse().unwrap_or(0);
            return match self.in_program {
                0 if index == 0 => "program".to_owned(),
                0 => format!("args[{}]", index - 1),
                count if index < count => format!("program[{index}]"),
                count => format!("args[{}]", index - count),
            };
        }
        let names = [
            ("program.argv", "program"),
            ("program.environment", "env"),
            ("program.working_directory", "cwd"),
            ("program.stdin", "stdin"),
        ];
        let renamed = names.iter().find_map(|(long, short)| {
            let rest = field.strip_prefix(long)?;
            Some(format!("{short}{rest}"))
        });
        let bare = field.strip_prefix("program.").unwrap_or(field);
        renamed.unwrap_or_else(|| bare.to_owned())
    }

    /// `rest` is `INDEX].FIELD`.
    fn probe(&self, rest: &str, spec: &JobSpec) -> String {
        let (index, after) = rest.split_once(']').unwrap_or((rest, ""));
        let index: usize = index.parse().unwrap_or(0);
        let probes = spec
            .service
            .as_deref()
            .map(|service: &Service| &service.probes);
        let purpose = probes.and_then(|probes| Some(probes.get(index)?.settings.purpose));
        match purpose {
            Some(purpose) if index >= self.in_probes => {
                let word = service::purpose_word(purpose);
                format!("{word}{after}")
            }
            Some(Purpose::Liveness | Purpose::Readiness) | None => {
                format!("probes[{index}]{after}")
            }
        }
    }
}
