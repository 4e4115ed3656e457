//! Texts about logs.

use super::texts;

texts! { LOGS:
    help_logs_tail => "Begin so many lines before the end", "Empieza tantas líneas antes del final";
    help_logs_since => "Begin at that time: 10m ago, or 2026-05-01T12:30 in UTC",
        "Empieza en ese momento: hace 10m, o 2026-05-01T12:30 en UTC";
    help_logs_until => "Nothing that was written later", "Nada que se escribió después";
    help_logs_grep => "Only lines in which this regular expression is found",
        "Solo líneas en las que aparece esta expresión regular";
    help_logs_run => "Only this run of the attempt, from 1", "Solo esta ejecución del intento, desde 1";
    help_logs_stdout => "Only standard output", "Solo la salida estándar";
    help_logs_stderr => "Only standard error", "Solo el error estándar";
    value_time => "TIME", "MOMENTO";
    why_not_a_time => "give a span before now (10m) or a date in UTC (2026-05-01T12:30)",
        "indique un tiempo hacia atrás (10m) o una fecha en UTC (2026-05-01T12:30)";
    why_not_a_pattern => "this is no regular expression", "no es una expresión regular";
    logs_more_replicas(most) => "there are more logs than {most} at a time; more are shown as others end",
        "hay más registros que {most} a la vez; se muestran más cuando otros terminan";
    logs_missing(bytes) => "[{bytes} bytes are missing]", "[faltan {bytes} bytes]";
    error_logs_too_many(count, most) => "the job has {count} tasks; the logs of at most {most} are shown together",
        "el trabajo tiene {count} tareas; se muestran juntos los registros de {most} como máximo";
    error_logs_captured(job) => "the output of job {job} is captured: it has no lines and times to choose from",
        "la salida del trabajo {job} está capturada: no tiene líneas ni momentos que elegir";
    hint_logs_captured => "`flota start` and jobs with \"logs\": \"rotated\" in their program have them",
        "los tienen `flota start` y los trabajos con \"logs\": \"rotated\" en su programa";
    why_not_a_logs_size => "write a size of at least 1 MiB, for instance 2GiB", "escriba un tamaño de al menos 1 MiB, por ejemplo 2GiB";
    why_not_a_logs_age => "write a duration of at least 1m, for instance 14d", "escriba una duración de al menos 1m, por ejemplo 14d";
    exit_program => "as the program ended", "como terminó el programa";
}
