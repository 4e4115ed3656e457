//! Problems that servers tell. Their English titles come with them; what to do about them is said
//! here in terms of this command line where it differs from the API's.

use super::Language;

/// What is told of a problem instead of the server's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProblemText {
    pub(crate) title: Option<&'static str>,
    pub(crate) hint: Option<&'static str>,
}

/// Whether a problem of this code is told in every language, for the test that knows the server.
pub fn knows_problem(code: &str) -> bool {
    PROBLEMS.iter().any(|entry| entry.code == code)
}

/// The text of a code, where we have one.
pub(crate) fn problem_text(language: Language, code: &str) -> Option<ProblemText> {
    let entry = PROBLEMS.iter().find(|entry| entry.code == code)?;
    let given = |text: &'static str| (!text.is_empty()).then_some(text);
    Some(match language {
        Language::English => ProblemText {
            title: None,
            hint: given(entry.hint),
        },
        Language::Spanish => ProblemText {
            title: Some(entry.title_es),
            hint: given(entry.hint_es),
        },
    })
}

pub(super) struct Entry {
    pub(super) code: &'static str,
    /// English; empty: as the server says.
    pub(super) hint: &'static str,
    /// Spanish.
    pub(super) title_es: &'static str,
    /// Spanish; empty: none.
    pub(super) hint_es: &'static str,
}

macro_rules! problems {
    ($($code:literal $hint:literal, $title_es:literal, $hint_es:literal;)+) => {
        pub(super) const PROBLEMS: &[Entry] =
            &[$(Entry { code: $code, hint: $hint, title_es: $title_es, hint_es: $hint_es }),+];
    };
}

problems! {
    "E-CREDENTIALS-MISSING" "give the file DATA/token of the server with --token-file",
        "no se sabe quién pregunta", "dé el archivo DATA/token del servidor con --token-file";
    "E-CREDENTIALS-WRONG" "give the file DATA/token of this very server with --token-file",
        "las credenciales no son válidas", "dé con --token-file el archivo DATA/token de este mismo servidor";
    "E-DEADLINE-PASSED" "give a later one", "el plazo del trabajo ya pasó", "dé uno posterior";
    "E-JOB-CANCELLING" "wait until it is finished: flota job wait JOB", "el trabajo se está cancelando",
        "espere a que termine: flota job wait TRABAJO";
    "E-JOB-CHANGED" "try again", "el trabajo cambió mientras se leía", "vuelva a intentarlo";
    "E-LOGIN-EXPIRED" "", "el enlace de entrada no es válido",
        "un enlace sirve una vez y hasta que el servidor se detenga: arránquelo de nuevo para obtener otro";
    "E-ACCESS-DENIED" "", "sin permiso", "";
    "E-HOST-FOREIGN" "", "la cabecera Host nombra otro servidor", "use localhost o una dirección de loopback";
    "E-ORIGIN-FOREIGN" "", "la petición viene de la página de otro sitio", "";
    "E-CSRF-MISSING" "", "una sesión de navegador debe mostrar que la página es nuestra",
        "envíe la cabecera `X-Flota-CSRF: 1`";
    "E-ROUTE-UNKNOWN" "is the server of the same version? `flota version` prints ours",
        "no existe esa dirección", "¿es el servidor de la misma versión? `flota version` muestra la nuestra";
    "E-METHOD-WRONG" "", "esta dirección no tiene ese método", "";
    "E-QUERY-UNKNOWN" "", "parámetro de consulta desconocido", "";
    "E-QUERY-INVALID" "", "un parámetro de consulta no es válido", "";
    "E-BODY-LENGTH" "", "el cuerpo es demasiado grande",
        "ponga las listas largas en archivos de los nodos, o envíe varios trabajos";
    "E-BODY-SLOW" "", "el cuerpo no llegó a tiempo", "";
    "E-BODY-BROKEN" "", "el cuerpo terminó antes de tiempo", "";
    "E-BODY-TYPE" "", "el cuerpo es de otro tipo que JSON", "";
    "E-SPEC-INVALID" "", "el trabajo no se puede aceptar tal como está", "";
    "E-KERNEL-PARAMETER" "", "la función incluida no admite esos parámetros",
        "docs/kernels.md dice qué admite cada función";
    "E-KERNEL-UNKNOWN" "flota kernel ls", "no existe esa función incluida", "flota kernel ls";
    "E-KEY-INVALID" "", "la clave de idempotencia no es válida", "de 1 a 128 caracteres ASCII visibles";
    "E-KEY-REUSED" "use a new --idempotency-key for each job", "la clave de idempotencia se usó para otro trabajo",
        "use una --idempotency-key nueva para cada trabajo";
    "E-JOB-NOTFOUND" "flota job ls", "no existe ese trabajo", "flota job ls";
    "E-JOB-FINISHED" "", "el trabajo ya ha terminado", "";
    "E-JOB-LIMIT" "", "demasiados trabajos vivos", "espere a que terminen algunos";
    "E-TASK-LIMIT" "", "demasiadas tareas vivas", "espere a que terminen algunas";
    "E-NOTE-NOTFOUND" "flota template ls, flota watch ls", "no existe esa plantilla, o no se vigila nada ahí", "flota template ls, flota watch ls";
    "E-NOTE-CHANGED" "", "ya existe, o cambió entretanto", "";
    "E-NOTE-LIMIT" "", "demasiadas plantillas o vigilancias, o demasiado largas", "quite las que ya no hagan falta";
    "E-WATCH-OUTSIDE" "", "la ruta no está en ninguna carpeta que se pueda vigilar", "ponga el archivo en la carpeta `jobs` de la carpeta de datos, o nombre su carpeta en los ajustes del servidor";
    "E-ROWS-LIMIT" "", "demasiados bytes de filas de trabajos vivos", "espere a que terminen algunos";
    "E-TASK-NOTFOUND" "", "el trabajo no tiene esa tarea", "";
    "E-ATTEMPT-NOTFOUND" "", "la tarea no tiene ese intento", "";
    "E-STREAM-NOTFOUND" "", "no existe esa salida", "stdout, stderr o result";
    "E-NODE-NOTFOUND" "flota node ls", "no existe ese nodo", "flota node ls";
    "E-NODE-UNREACHABLE" "`flota node ls` shows when it was last heard", "el nodo no responde",
        "`flota node ls` muestra cuándo se le oyó por última vez";
    "E-PROCESS-NOTFOUND" "flota ps", "no existe ese proceso, o ya no", "flota ps";
    "E-PROCESS-REUSED" "flota ps", "el proceso ya acabó; a ningún otro se le hizo nada", "flota ps";
    "E-PROCESS-UNCERTAIN" "NODE/PID with --force-pid takes whoever has the number now",
        "el proceso no se distingue de uno posterior", "NODO/PID con --force-pid toma a quien tenga ahora el número";
    "E-PROCESS-PROTECTED" "", "nadie puede enviar señales a este proceso", "";
    "E-PROCESS-FORBIDDEN" "", "el agente no puede enviar señales a este proceso",
        "el agente puede enviarlas a procesos de su usuario; si se ejecuta como root, a todos";
    "E-PROCESS-ALIVE" "", "el proceso no termina", "";
    "E-PROCESS-NUMBER" "use its handle (`flota ps -q`), or insist with --force-pid",
        "un número solo no nombra un proceso", "use su identificador (`flota ps -q`), o insista con --force-pid";
    "E-PROCESS-UNREADABLE" "", "el nodo no pudo averiguarlo", "";
    "E-OUTPUT-GONE" "", "el nodo ya no tiene la salida", "";
    "E-OUTPUT-UNREADABLE" "", "el nodo no pudo leer la salida", "";
    "E-OUTPUT-UNREACHABLE" "", "el nodo que tiene la salida no responde", "pruebe otra vez cuando el nodo esté en marcha";
    "E-STORE-FULL" "", "el disco del servidor está casi lleno",
        "libere espacio en el disco de la carpeta de datos; los resultados del trabajo en marcha se siguen guardando";
    "E-STORE-BEHIND" "flota fleet recover goes on with it", "el almacén es más antiguo que la flota",
        "flota fleet recover sigue con él";
    "E-SERVICE-NOTFOUND" "flota service ls lists them", "no hay ningún servicio con ese nombre",
        "flota service ls los lista";
    "E-SERVICE-KIND" "flota service apply takes services, flota submit takes batch jobs",
        "un servicio donde se espera un trabajo por lotes, o al revés",
        "flota service apply admite servicios, flota submit trabajos por lotes";
    "E-SERVICE-STOPPED" "flota service start starts it", "el servicio está detenido",
        "flota service start lo inicia";
    "E-SERVICE-RUNNING" "", "el servicio no está detenido",
        "deténgalo antes con flota service stop --wait";
    "E-SERVICE-CHANGED" "look at it again with flota service show", "el servicio cambió desde que se vio",
        "mírelo otra vez con flota service show";
    "E-REVISION-NOTFOUND" "flota service history lists them", "el servicio no recuerda esa revisión",
        "flota service history las lista";
    "E-SERVICE-CYCLE" "", "el servicio dependería de sí mismo", "quite una de las dependencias";
    "E-SERVICE-LIMIT" "", "más réplicas de las que puede tener un servicio", "cree varios servicios";
    "E-STORE-CURRENT" "", "el almacén no está atrasado", "";
    "E-STORE-UNREADABLE" "", "no se puede leer el almacén", "vea el registro del servidor";
    "E-SERVER-BUSY" "", "hay demasiadas peticiones esperando", "pruebe otra vez dentro de un momento";
    "E-WATCHER-LIMIT" "", "demasiadas conexiones observan eventos",
        "cierre una, o pregunte de vez en cuando";
    "E-SERVER-STOPPING" "", "el servidor se está deteniendo",
        "puede que la orden se haya cumplido: repetirla con la misma clave es seguro";
    "E-SERVER-BUG" "", "el servidor se contradice", "por favor, avise";
}
