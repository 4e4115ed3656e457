//! What clients and slaves send.

use std::{collections::BTreeMap, fmt};

use flota_model::spec::{KernelCall, Priority};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

/// Longest body of a request, in bytes: a result carries what a program has written.
pub const REQUEST_LENGTH_MAX: usize = 1 << 20;
/// The kernel that draws what the older systems draw, and nothing else: their slaves can do it too.
pub const KERNEL: &str = "julia-plain";
/// Longest name of an algorithm, a slave or a task, in bytes.
const NAME_LENGTH_MAX: usize = 63;

/// The names of algorithms that every version has, with the variant of [`KERNEL`] that each is; names are told apart without regard to case.
pub const ALGORITHMS: [(&str, &str); 3] = [
    ("Secuencial", "scalar"),
    ("Numpy", "vector"),
    ("juliaCython", "parallel"),
];

/// Variables of the environment of the older systems, and what takes their place.
pub const FORMER_NAMES: [(&str, &str); 5] = [
    ("ESCLAVO", "FLOTA_NAME"),
    ("MAESTRO_IP", "FLOTA_SERVER"),
    ("MEMORIA_NODE", "FLOTA_NAME"),
    ("COORDINATOR_IP", "FLOTA_SERVER"),
    ("RABBIT_HOST", "FLOTA_SERVER"),
];

/// The name of an algorithm as it is written, and its variant of [`KERNEL`].
pub fn algorithm(name: &str) -> Option<(&'static str, &'static str)> {
    ALGORITHMS
        .into_iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
}

/// A picture to compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    /// As it was written, or as it is called where it is one of [`ALGORITHMS`].
    pub algorithm: String,
    /// Pixels; at least 1.
    pub width: u32,
    /// Pixels; at least 1.
    pub height: u32,
    /// At least 1.
    pub iterations: u32,
    /// Medium unless it was given.
    pub priority: Priority,
    /// As the one who gives work calls it; `None` where a new job is meant.
    pub id: Option<TaskKey>,
}

/// How an older client calls a task: a number or a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskKey(pub String);

impl fmt::Display for TaskKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TaskKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = || value.as_u64().map(|number| number.to_string());
        let text = value.as_str().map(str::to_owned).or_else(number);
        let text = text.ok_or_else(|| D::Error::custom("expected a number or a text"))?;
        if text.is_empty() || text.len() > NAME_LENGTH_MAX {
            return Err(D::Error::custom(format!(
                "expected 1 to {NAME_LENGTH_MAX} bytes"
            )));
        }
        Ok(Self(text))
    }
}

impl Serialize for TaskKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Our own are numbers, and those who got one compare it with what they sent.
        match self.0.parse::<u64>() {
            Ok(number) if number.to_string() == self.0 => serializer.serialize_u64(number),
            _ => serializer.serialize_str(&self.0),
        }
    }
}

/// Reads the body of `POST /agregar_trabajo` and `POST /ejecutar`. Unknown keys are left out of
/// account, as the older systems did.
///
/// # Errors
/// What is missing or wrong, in Spanish.
pub fn parse_job(body: &[u8]) -> Result<JobRequest, String> {
    let Value::Object(body) = object(body)? else {
        return Err("se espera un objeto JSON".to_owned());
    };
    let missing: Vec<&str> = ["algoritmo", "width", "height", "iteraciones"]
        .into_iter()
        .filter(|key| body.get(*key).is_none_or(Value::is_null))
        .collect();
    if !missing.is_empty() {
        return Err(format!("faltan campos: {}", missing.join(", ")));
    }
    let name = body["algoritmo"]
        .as_str()
        .ok_or("`algoritmo` debe ser un texto")?;
    let priority = match body.get("prioridad") {
        None | Some(Value::Null) => Priority::MEDIUM,
        Some(value) => priority(value.as_u64())?,
    };
    let id = match body.get("id") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let key = TaskKey::deserialize(value);
            Some(key.map_err(|_| "`id` debe ser un número o un texto corto".to_owned())?)
        }
    };
    Ok(JobRequest {
        algorithm: algorithm_name(name)?,
        width: positive("width", body["width"].as_u64())?,
        height: positive("height", body["height"].as_u64())?,
        iterations: positive("iteraciones", body["iteraciones"].as_u64())?,
        priority,
        id,
    })
}

pub(super) fn algorithm_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    if name.is_empty() || name.len() > NAME_LENGTH_MAX {
        return Err(format!(
            "`algoritmo` debe tener de 1 a {NAME_LENGTH_MAX} bytes"
        ));
    }
    Ok(algorithm(name).map_or_else(|| name.to_owned(), |(known, _)| known.to_owned()))
}

pub(super) fn positive(key: &str, number: Option<u64>) -> Result<u32, String> {
    number
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("`{key}` debe ser un entero positivo"))
}

pub(super) fn priority(number: Option<u64>) -> Result<Priority, String> {
    number
        .and_then(|number| u8::try_from(number).ok())
        .filter(|number| (1..=3).contains(number))
        .map(Priority)
        .ok_or_else(|| "`prioridad` debe ser 1 (alta), 2 (media) o 3 (baja)".to_owned())
}

/// The kernel that computes it, with `threads` for the variant that uses several; `None` where it is
/// none of [`ALGORITHMS`].
pub fn call_of(request: &JobRequest, threads: u32) -> Option<KernelCall> {
    let (_, variant) = algorithm(&request.algorithm)?;
    let mut parameters = BTreeMap::from([
        ("width".to_owned(), request.width.to_string()),
        ("height".to_owned(), request.height.to_string()),
        ("iterations".to_owned(), request.iterations.to_string()),
        ("variant".to_owned(), variant.to_owned()),
    ]);
    if variant == "parallel" {
        parameters.insert("threads".to_owned(), threads.max(1).to_string());
    }
    Some(KernelCall {
        name: KERNEL.to_owned(),
        parameters,
    })
}

/// The body of `POST /cargar_trabajos`; empty where nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct LoadRequest {
    /// Which file, relative to the folder of jobs; the usual one where absent.
    #[serde(default, rename = "archivo")]
    pub file: Option<String>,
}

/// Reads the body of `POST /cargar_trabajos`, which may be empty.
///
/// # Errors
/// What is wrong, in Spanish.
pub fn parse_load(body: &[u8]) -> Result<LoadRequest, String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(LoadRequest::default());
    }
    serde_json::from_value(object(body)?)
        .map_err(|_| "`archivo` debe ser el nombre de un archivo".to_owned())
}

/// The body of `POST /registrar_esclavo`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Registration {
    /// Its name.
    #[serde(rename = "esclavo_id")]
    pub slave: String,
    /// Where it listens: an address, or the name of a host.
    pub ip: String,
    /// On which port.
    #[serde(default = "slave_port", rename = "puerto")]
    pub port: u16,
}

/// What a slave means that names no port. The line protocol has the same customary port.
fn slave_port() -> u16 {
    5_002
}

/// Reads the body of `POST /registrar_esclavo`.
///
/// # Errors
/// What is missing or wrong, in Spanish.
pub fn parse_registration(body: &[u8]) -> Result<Registration, String> {
    let registration: Registration = serde_json::from_value(object(body)?)
        .map_err(|_| "se espera {esclavo_id, ip, puerto}".to_owned())?;
    if !crate::spec::is_name(&registration.slave) {
        return Err(format!(
            "`esclavo_id` debe tener de 1 a {NAME_LENGTH_MAX} letras, cifras, puntos o guiones"
        ));
    }
    if registration.port == 0 {
        return Err("`puerto` debe estar entre 1 y 65535".to_owned());
    }
    Ok(registration)
}

/// The body of `POST /resultado`: what a slave has done, or why it has not.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RemoteResult {
    /// Which slave.
    #[serde(rename = "esclavo")]
    pub slave: String,
    /// Which task, as it was given.
    #[serde(rename = "trabajo_id")]
    pub task: TaskKey,
    /// Why it was not done.
    #[serde(default)]
    pub error: Option<String>,
    /// Seconds.
    #[serde(default, rename = "tiempo")]
    pub seconds: Option<f64>,
    /// What it wrote.
    #[serde(default)]
    pub stdout: Option<String>,
    /// What it wrote.
    #[serde(default)]
    pub stderr: Option<String>,
    /// The exit code of its program.
    #[serde(default)]
    pub return_code: Option<i64>,
}

/// Reads the body of `POST /resultado`.
///
/// # Errors
/// What is missing or wrong, in Spanish.
pub fn parse_result(body: &[u8]) -> Result<RemoteResult, String> {
    serde_json::from_value(object(body)?)
        .map_err(|fault| format!("se espera {{esclavo, trabajo_id, …}}: {fault}"))
}

/// Any JSON value of a body; an empty body is an empty object.
pub(super) fn object(body: &[u8]) -> Result<Value, String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("se espera un objeto JSON".to_owned()),
        Err(fault) => Err(format!("el cuerpo no es JSON: {fault}")),
    }
}
