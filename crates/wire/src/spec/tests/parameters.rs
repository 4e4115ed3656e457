//! Sweeps and rows: read, written, checked.

use flota_model::parameters::{COLUMNS_MAX, ROW_LENGTH_MAX, RowsWriter};

use super::*;
use crate::spec::{Job, Notation, hash_of_rows, join, parse_job};

fn swept(parameters: serde_json::Value, argv: &[&str]) -> serde_json::Value {
    json!({"name": "n", "program": {"argv": argv}, "parameters": parameters})
}

fn job(body: &serde_json::Value) -> Result<Job, SpecFaults> {
    let parsed = parse_job(&body.to_string(), Notation::Json, None);
    if parsed.is_ok() {
        document::assert_fits(body);
    }
    parsed
}

#[track_caller]
fn refused(body: &serde_json::Value, field: &str, what: &str) {
    let faults = job(body).unwrap_err();
    let found = faults
        .list
        .iter()
        .any(|fault| fault.field == field && fault.to_string().contains(what));
    assert!(found, "{faults}");
}

#[test]
fn a_sweep_gives_the_tasks_and_survives_the_normal_form() {
    let body = swept(
        json!([{"name": "x", "values": ["a", 1.5]}, {"name": "2", "values": [true, 7, "{x}"]}]),
        &["run", "{x}", "--y={2}", "{index}"],
    );
    let read = job(&body).unwrap();
    assert_eq!(read.rows, None);
    assert_eq!(read.spec.tasks.first, TaskIndex(1));
    assert_eq!(read.spec.tasks.last, TaskIndex(6));
    let sealed = seal(read.spec.clone());
    assert_eq!(unseal(&sealed.blob).unwrap(), read.spec);
    let form: serde_json::Value = serde_json::from_slice(&sealed.blob).unwrap();
    assert_eq!(form["parameters"][1]["values"], json!(["true", "7", "{x}"]));
    document::assert_fits(&form);
    // The parameters come right behind the tasks, and nowhere where there are none.
    let text = String::from_utf8(sealed.blob.to_vec()).unwrap();
    assert!(
        text.contains(r#""last":6},"parameters":[{"name":"x""#),
        "{text}"
    );
    let plain = seal(minimal());
    assert!(!String::from_utf8_lossy(&plain.blob).contains("parameters"));
}

#[test]
fn rows_that_are_written_out_are_named_by_their_hash() {
    let body = swept(
        json!({"columns": ["x", "y"], "rows": [["a", 1], ["é b", "2"]]}),
        &["run", "{x}", "{y}"],
    );
    let Job { spec, rows } = job(&body).unwrap();
    let rows = rows.unwrap();
    assert_eq!(rows.bytes(), "a|1|é b|2|".replace('|', "\0").as_bytes());
    assert_eq!(spec.tasks.count(), 2);
    let sealed = seal(spec.clone());
    assert_eq!(unseal(&sealed.blob).unwrap(), spec);
    let again = join(spec, Some(rows.bytes().into())).unwrap();
    assert_eq!(again.rows, Some(rows));
    // One column needs no lists.
    let lines = swept(
        json!({"columns": ["line"], "rows": ["a", ["b"], 3]}),
        &["run", "{line}"],
    );
    assert_eq!(
        job(&lines).unwrap().rows.unwrap().bytes(),
        "a|b|3|".replace('|', "\0").as_bytes()
    );
}

#[test]
fn toml_and_yaml_say_the_same() {
    let toml = "name = \"n\"\n[program]\nargv = [\"run\", \"{x}\"]\n[parameters]\n\
                columns = [\"x\"]\nrows = [\"a\", \"b\"]\n";
    let yaml =
        "name: n\nprogram: {argv: [run, '{x}']}\nparameters:\n  columns: [x]\n  rows: [a, b]\n";
    let read = parse_job(toml, Notation::Toml, None).unwrap();
    assert_eq!(parse_job(yaml, Notation::Yaml, None), Ok(read));
}

#[test]
fn rows_must_be_those_that_the_spec_names() {
    let mut writer = RowsWriter::default();
    writer.push(["a"]);
    writer.push(["b"]);
    let bytes: Arc<[u8]> = writer.finish().into();
    let hash = crate::spec::parameters::hash_text(hash_of_rows(&bytes));
    let named = |count: u32, hash: &str| {
        swept(
            json!({"columns": ["x"], "rows": hash, "count": count}),
            &["run", "{x}"],
        )
        .to_string()
    };
    let with = |text: &str, bytes: &Arc<[u8]>| {
        parse_job(text, Notation::Json, Some(Arc::clone(bytes)))
            .map(|job| job.rows.unwrap().count())
            .map_err(|faults| faults.list[0].field.clone())
    };
    assert_eq!(with(&named(2, &hash), &bytes), Ok(2));
    assert_eq!(
        with(&named(3, &hash), &bytes),
        Err("parameters.count".into())
    );
    assert_eq!(
        with(&named(2, &"0".repeat(64)), &bytes),
        Err("parameters.rows".into())
    );
    assert_eq!(
        with(&named(1, &hash), &Arc::from(&b"a"[..])),
        Err("parameters.rows".into())
    );
    let missing = parse_job(&named(2, &hash), Notation::Json, None).unwrap_err();
    assert_eq!(missing.list[0].what, "the rows themselves are missing");
    let stray = parse_job(&argv(&["true"]).to_string(), Notation::Json, Some(bytes));
    assert_eq!(stray.unwrap_err().list[0].field, "parameters");
}

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    let body = swept(json!([{"name": "x", "values": ["1"]}]), &["run", "{y}"]);
    refused(
        &body,
        "program.argv[1]",
        "known: {x}, {index}, {job}, {attempt}",
    );
    let kernel = json!({"name": "n", "kernel": {"name": "sleep", "parameters": {"milliseconds": "{x}"}},
        "parameters": {"columns": ["x"], "rows": [5]}});
    assert_eq!(job(&kernel).unwrap().spec.tasks.count(), 1);
}

#[test]
fn parameters_have_bounds() {
    let run = ["run"];
    let axis = |name: &str| json!({"name": name, "values": ["1"]});
    let columns = |columns: serde_json::Value, rows: serde_json::Value| {
        swept(json!({"columns": columns, "rows": rows}), &run)
    };
    refused(&swept(json!([]), &run), "parameters", "0 names");
    let many: Vec<_> = (0..=COLUMNS_MAX)
        .map(|axis_number| axis(&format!("a{axis_number}")))
        .collect();
    refused(&swept(json!(many), &run), "parameters", "65 names");
    assert!(job(&swept(json!(many[1..]), &run)).is_ok());
    refused(
        &swept(json!([axis("a b")]), &run),
        "parameters[0].name",
        "no name",
    );
    refused(
        &swept(json!([axis("job")]), &run),
        "parameters[0].name",
        "of its own",
    );
    refused(
        &swept(json!([axis("a"), axis("a")]), &run),
        "parameters[1].name",
        "twice",
    );
    refused(
        &swept(json!([{"name": "a", "values": []}]), &run),
        "parameters[0].values",
        "empty",
    );
    refused(
        &swept(json!([{"name": "a", "values": ["\0"]}]), &run),
        "parameters[0].values[0]",
        "NUL",
    );
    refused(
        &columns(json!(["a"]), json!([])),
        "parameters.rows",
        "empty",
    );
    refused(
        &columns(json!(["a"]), json!(["1", ["1", "2"]])),
        "parameters.rows[1]",
        "2 values for 1",
    );
    refused(
        &columns(json!(["a"]), json!(["\0"])),
        "parameters.rows[0]",
        "NUL",
    );
    let long = "x".repeat(ROW_LENGTH_MAX);
    refused(
        &columns(json!(["a"]), json!(["1", long])),
        "parameters.rows[1]",
        "65536 bytes",
    );
    refused(
        &swept(json!([{"name": "a", "values": [long]}]), &run),
        "parameters[0].values[0]",
        "at most",
    );
}

#[test]
fn parameters_are_as_many_as_tasks() {
    let run = ["run"];
    let axis = |name: &str| json!({"name": name, "values": ["1"]});
    let columns = |columns: serde_json::Value, rows: serde_json::Value| {
        swept(json!({"columns": columns, "rows": rows}), &run)
    };
    let thousands: Vec<u32> = (0..4_000).collect();
    let wide = json!([{"name": "a", "values": thousands}, {"name": "b", "values": thousands}]);
    refused(&swept(wide, &run), "parameters", "16000000 combinations");
    let mut short = swept(json!([axis("a")]), &run);
    short["tasks"] = json!("1-2");
    refused(&short, "tasks", "2 tasks, but parameters for 1");
    let mut wrong = columns(json!(["a"]), json!(["1"]));
    wrong["parameters"]["count"] = json!(2);
    refused(&wrong, "parameters.count", "there are 1 rows");
}

#[test]
fn the_longest_values_count_against_the_length_of_arguments() {
    let value = "x".repeat(ARGUMENT_LIST_LENGTH_MAX / 2);
    let values = ["a", &value];
    let short = columns_of(&values);
    assert!(job(&short(&["run", "{a}"])).is_ok());
    refused(
        &short(&["run", "{a}", "{a}"]),
        "program.argv",
        "argument list too long",
    );
}

fn columns_of<'a>(values: &'a [&'a str]) -> impl Fn(&[&str]) -> serde_json::Value + 'a {
    move |argv| swept(json!({"columns": ["a"], "rows": values}), argv)
}
