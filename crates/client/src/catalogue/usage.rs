//! Texts around wrong command lines, and the words of help pages.

use super::texts;

texts! { USAGE:
    help_usage => "Usage", "Uso";
    help_examples => "Examples", "Ejemplos";
    help_arguments => "Arguments", "Argumentos";
    help_options => "Options", "Opciones";
    help_global_options => "Global options", "Opciones globales";
    help_commands => "Commands", "Órdenes";
    usage_options_placeholder => "[OPTIONS]", "[OPCIONES]";
    usage_command_placeholder => "COMMAND", "ORDEN";

    value_job => "JOB", "TRABAJO";
    value_node => "NODE", "NODO";
    value_task => "TASK", "TAREA";
    value_file => "FILE", "ARCHIVO";
    value_folder => "FOLDER", "CARPETA";
    value_address => "ADDRESS", "DIRECCIÓN";
    value_name => "NAME", "NOMBRE";
    value_bench => "BENCH", "MEDICIÓN";
    value_count => "COUNT", "CANTIDAD";
    value_amount => "AMOUNT", "CANTIDAD";
    value_duration => "DURATION", "DURACIÓN";
    value_format => "FORMAT", "FORMATO";
    value_when => "WHEN", "CUÁNDO";
    value_language => "LANGUAGE", "IDIOMA";
    value_key_value => "KEY=VALUE", "CLAVE=VALOR";
    value_range => "FIRST-LAST", "PRIMERO-ÚLTIMO";
    value_program => "PROGRAM", "PROGRAMA";
    value_state => "STATE", "ESTADO";
    value_phase => "PHASE", "FASE";
    value_kind => "KIND", "TIPO";
    value_stream => "STREAM", "SALIDA";
    value_key => "KEY", "CLAVE";
    value_policy => "POLICY", "POLÍTICA";
    value_topic => "TOPIC", "TEMA";
    value_path => "PATH", "RUTA";

    usage_unknown_option(option) => "unknown option `{option}`", "opción desconocida `{option}`";
    usage_unexpected_value(value) => "unexpected argument `{value}`", "argumento inesperado `{value}`";
    usage_unknown_command(command) => "unknown command `{command}`", "orden desconocida `{command}`";
    usage_unknown_topic(topic) => "no help on `{topic}`", "no hay ayuda sobre `{topic}`";
    usage_missing_value(option) => "`{option}` needs a value", "`{option}` necesita un valor";
    usage_missing_arguments(names) => "missing: {names}", "falta: {names}";
    usage_conflict(option, other) => "`{option}` cannot be used with {other}",
        "`{option}` no se puede usar con {other}";
    usage_repeated(option) => "`{option}` is given more than once", "`{option}` aparece más de una vez";
    usage_invalid_value(value, option) => "`{value}` is not a value for `{option}`",
        "`{value}` no es un valor para `{option}`";
    usage_invalid_value_why(value, option, why) => "`{value}` is not a value for `{option}`: {why}",
        "`{value}` no es un valor para `{option}`: {why}";
    usage_no_value(option) => "`{option}` takes no value", "`{option}` no lleva valor";
    usage_not_unicode => "an argument is not UTF-8 text", "un argumento no es texto UTF-8";
    usage_other => "the command line cannot be understood", "no se entiende la línea de órdenes";
    usage_did_you_mean(name) => "did you mean `{name}`?", "¿quiso decir `{name}`?";
    usage_one_of(values) => "use one of: {values}", "use uno de: {values}";
    usage_see_help(command) => "see `{command} --help`", "vea `{command} --help`";

    why_not_a_range => "write FIRST-LAST, for instance 1-100", "escriba PRIMERO-ÚLTIMO, por ejemplo 1-100";
    why_range_reversed(first, last) => "the first index is above the last; did you mean {last}-{first}?",
        "el primer índice es mayor que el último; ¿quiso decir {last}-{first}?";
    why_range_too_long(most) => "a job has at most {most} tasks", "un trabajo tiene como mucho {most} tareas";
    why_not_a_pair => "write KEY=VALUE", "escriba CLAVE=VALOR";
    why_not_a_number(first, last) => "write a whole number from {first} to {last}",
        "escriba un número entero del {first} al {last}";
    why_not_cpus => "write a number of cores, for instance 2 or 0.5",
        "escriba una cantidad de núcleos, por ejemplo 2 o 0.5";
    why_not_a_size => "write an amount of memory, for instance 512MiB or 4GB",
        "escriba una cantidad de memoria, por ejemplo 512MiB o 4GB";
    why_not_a_duration => "write a duration, for instance 500ms, 30s, 5m or 1h",
        "escriba una duración, por ejemplo 500ms, 30s, 5m o 1h";
    why_not_a_policy => "write stop, keep, or keep:DURATION", "escriba stop, keep o keep:DURACIÓN";
    why_not_a_job => "write the number of a job, or `last`", "escriba el número de un trabajo, o `last`";
    why_not_a_key(most) => "write 1 to {most} visible ASCII letters", "escriba de 1 a {most} letras ASCII visibles";
    why_no_line_listener => "write posix=127.0.0.1:5002 or gestor=127.0.0.1:5000; the line protocol has no credentials, so the address must be a loopback one",
        "escriba posix=127.0.0.1:5002 o gestor=127.0.0.1:5000; el protocolo de líneas no tiene credenciales, así que la dirección debe ser de loopback";
    why_not_a_loopback_address => "write 127.0.0.1:PORT; these clients have no credentials, so the address must be a loopback one",
        "escriba 127.0.0.1:PUERTO; estos clientes no tienen credenciales, así que la dirección debe ser de loopback";
    why_no_origins => "write origins of pages, for instance http://localhost:*,https://lab.example",
        "escriba orígenes de páginas, por ejemplo http://localhost:*,https://aula.example";
    why_not_an_absolute_path => "write an absolute path", "escriba una ruta absoluta";
    why_not_a_job_file => "write a path below the folder of jobs, without `..`",
        "escriba una ruta bajo la carpeta de trabajos, sin `..`";
    why_no_algorithms => "write [hpc.algorithms.NAME] with argv = [\"/path/of/program\"]",
        "escriba [hpc.algorithms.NOMBRE] con argv = [\"/ruta/del/programa\"]";
    why_not_an_address => "write HOST:PORT, for instance 127.0.0.1:7070",
        "escriba HOST:PUERTO, por ejemplo 127.0.0.1:7070";
}
