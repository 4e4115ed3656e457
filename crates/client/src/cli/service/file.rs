//! Files of services, with the files of variables that they name.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use flota_model::spec::{JobSpec, SPEC_LENGTH_MAX, Work};
use flota_wire::spec::{
    self, DeclaredService, ENVIRONMENT_FILE_LENGTH_MAX, Notation, parse_environment, parse_services,
};

use crate::{catalogue::Language, exit::Exit, failure::Failure};

/// All services of a file, complete.
pub(super) fn services(language: Language, path: &str) -> Result<Vec<JobSpec>, Failure> {
    let text = read(language, path, SPEC_LENGTH_MAX)?;
    let declared = parse_services(&text, Notation::of(path, &text))
        .map_err(|faults| Failure::of_spec(language.error_service_file_invalid(path), faults))?;
    // Paths in a file are meant from where the file is.
    let folder = Path::new(path).parent().filter(|_| path != "-");
    declared
        .into_iter()
        .map(|one| complete(language, one, folder))
        .collect()
}

fn complete(
    language: Language,
    declared: DeclaredService,
    folder: Option<&Path>,
) -> Result<JobSpec, Failure> {
    let mut spec = declared.spec;
    let files = declared.environment_files.iter().map(|file| match folder {
        Some(folder) => folder.join(file).to_string_lossy().into_owned(),
        None => file.clone(),
    });
    add_variables(language, &mut spec, files)?;
    Ok(spec)
}

/// Adds the variables of files, a later one before an earlier one; those of the spec come first.
pub(super) fn add_variables(
    language: Language,
    spec: &mut JobSpec,
    files: impl Iterator<Item = String>,
) -> Result<(), Failure> {
    let mut variables = BTreeMap::new();
    for file in files {
        let text = read(language, &file, ENVIRONMENT_FILE_LENGTH_MAX)?;
        let found = parse_environment(&text).map_err(|fault| {
            let what = language.error_env_file(&file, &fault);
            Failure::new("E-SPEC-INVALID", Exit::Usage, what)
        })?;
        variables.extend(found);
    }
    if variables.is_empty() {
        return Ok(());
    }
    if let Work::Program(program) = &mut spec.work {
        variables.append(&mut program.environment);
        program.environment = variables;
    }
    spec::check(spec)
        .map_err(|faults| Failure::of_spec(language.error_command_spec_invalid(), faults))
}

/// One byte more than a file may have is enough to know.
fn read(language: Language, path: &str, length_max: usize) -> Result<String, Failure> {
    let unreadable = |source: io::Error| Failure::of_unreadable(language, path, &source);
    let limit = length_max as u64 + 1;
    let mut bytes = Vec::new();
    match path {
        "-" => io::stdin().lock().take(limit).read_to_end(&mut bytes),
        path => File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    }
    .map_err(unreadable)?;
    if bytes.len() > length_max {
        let what = language.error_file_too_long(path, length_max);
        return Err(Failure::new("E-FILE-TOO-LONG", Exit::Usage, what));
    }
    String::from_utf8(bytes).map_err(|_| {
        let what = language.error_service_file_invalid(path);
        Failure::new("E-SPEC-INVALID", Exit::Usage, what).because("UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn variables_come_from_files_beside_the_file_of_services() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.env", "A=1\nB=1\nC=1\n");
        write("b.env", "B=2\nC=2\n");
        let text = "service:\n  web:\n    program: x\n    env: {C: 3}\n    \
                    env_file: [a.env, b.env]\n";
        write("services.yaml", text);
        let path = folder.path().join("services.yaml");
        let specs = services(Language::English, path.to_str().unwrap()).unwrap();
        let Work::Program(program) = &specs[0].work else {
            panic!("a kernel")
        };
        let shown: Vec<String> = program
            .environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(shown, ["A=1", "B=2", "C=3"]);
    }

    #[test]
    fn a_file_of_variables_that_is_wrong_or_too_long_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.env");
        let text = "[service.web]\nprogram = \"x\"\nenv_file = \"x.env\"\n";
        fs::write(folder.path().join("s.toml"), text).unwrap();
        let file = folder.path().join("s.toml");
        let told = |content: &str| {
            fs::write(&path, content).unwrap();
            let failure = services(Language::English, file.to_str().unwrap()).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage);
            failure.what().to_owned()
        };
        assert!(told("A=1\nB\n").contains("line 2: there is no `=`"));
        assert!(told(&"A".repeat(ENVIRONMENT_FILE_LENGTH_MAX + 1)).contains("x.env"));
    }
}
