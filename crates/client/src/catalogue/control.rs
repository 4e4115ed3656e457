//! Texts about what people do with jobs that run or have run.

use super::texts;

texts! { CONTROL:
    header_paused => "PAUSED", "EN PAUSA";
    header_ending => "CANCELLED", "CANCELADO";
    header_reason => "REASON", "MOTIVO";
    header_example => "EXAMPLE", "EJEMPLO";
    header_ended_at => "ENDED AT", "ACABÓ EL";

    header_waiting => "WAITING", "EN ESPERA";
    header_jobs_paused => "JOBS PAUSED", "TRABAJOS EN PAUSA";

    about_job_pause => "Starts nothing more of a job; what runs goes on", "No arranca nada más de un trabajo; lo que corre sigue";
    about_job_resume => "Goes on with a job", "Sigue con un trabajo";
    about_queue => "Looks at all batch work as a whole, and holds it back", "Mira todo el trabajo por lotes en conjunto, y lo retiene";
    about_queue_show => "Shows what waits, and who holds it back", "Muestra lo que espera, y quién lo retiene";
    about_queue_pause => "Starts no more batch work; what runs, and services, go on",
        "No arranca más trabajo por lotes; lo que corre, y los servicios, siguen";
    about_queue_resume => "Goes on with batch work", "Sigue con el trabajo por lotes";
    job_paused(job) => "job {job} is paused; go on with: flota job resume {job}",
        "el trabajo {job} está en pausa; para seguir: flota job resume {job}";
    job_resumed(job) => "job {job} goes on", "el trabajo {job} sigue";
    queue_paused => "no more batch work starts; go on with: flota queue resume",
        "no arranca más trabajo por lotes; para seguir: flota queue resume";
    queue_resumed => "batch work goes on", "el trabajo por lotes sigue";
    help_job_timeout => "cancel the job when it takes longer as a whole, from its acceptance or its last retry",
        "cancelar el trabajo si dura más en total, desde su aceptación o su último reintento";
    help_deadline => "start nothing after this instant (2027-01-01T03:00:00Z, or a span from now such as 2h), and stop what runs then",
        "no arrancar nada después de este instante (2027-01-01T03:00:00Z, o un plazo desde ahora como 2h), y detener lo que corra entonces";
    help_max_fails => "cancel the job once more tasks than this have failed: 10, or 5%",
        "cancelar el trabajo cuando fallen más tareas que estas: 10, o 5%";
    help_retry_on => "repeat only failures of this cause: exit:1-127, signal:KILL, timeout, oom, not_started, failed; may be repeated",
        "repetir solo fallos por esta causa: exit:1-127, signal:KILL, timeout, oom, not_started, failed; puede repetirse";
    help_retry_not_on => "do not repeat failures of this cause; with lost, not even what was lost with its node",
        "no repetir fallos por esta causa; con lost, ni siquiera lo que se perdió con su nodo";
    help_paused => "accept the job and start nothing of it before flota job resume",
        "aceptar el trabajo y no arrancar nada de él antes de flota job resume";
    value_cause => "CAUSE", "CAUSA";
    why_not_an_instant => "an instant such as 2027-01-01T03:00:00Z, or a span from now such as 2h",
        "un instante como 2027-01-01T03:00:00Z, o un plazo desde ahora como 2h";
    why_not_max_fails => "a number of tasks such as 10, or a share such as 5%", "un número de tareas como 10, o una parte como 5%";
    why_not_a_cause => "exit:3, exit:1-127, signal:KILL, timeout, oom, not_started, failed or lost",
        "exit:3, exit:1-127, signal:KILL, timeout, oom, not_started, failed o lost";

    about_job_retry => "Has tasks that ended without success wait again, also those of a finished job",
        "Pone otra vez en espera las tareas que acabaron sin éxito, también las de un trabajo terminado";
    about_job_dead => "Lists the tasks of all jobs that were set aside, with their reasons; retries them all with --retry",
        "Lista las tareas de todos los trabajos que se apartaron, con sus motivos; con --retry las reintenta todas";
    help_show_failed => "why its tasks failed, grouped by reason, with an example of each",
        "por qué fallaron sus tareas, agrupadas por motivo, con un ejemplo de cada uno";
    help_reason => "why, for others to read", "por qué, para que otros lo lean";
    help_retry_failed_only => "only tasks that failed or were set aside as poison, not cancelled or unknown ones",
        "solo las tareas que fallaron o se apartaron, no las canceladas ni las desconocidas";
    help_retry_task => "only this task, or a range of them; may be repeated",
        "solo esta tarea, o un intervalo; puede repetirse";
    help_dead_state => "in which state instead of `dead`", "en qué estado en vez de `dead`";
    help_dead_retry => "have all of them wait again", "ponerlas todas otra vez en espera";
    why_not_indexes => "an index such as 3, or a range such as 7-9", "un índice como 3, o un intervalo como 7-9";

    retried(tasks, job) => "{tasks} tasks of job {job} wait again", "{tasks} tareas del trabajo {job} esperan otra vez";
    nothing_to_retry(job) => "job {job} has no such task to retry", "el trabajo {job} no tiene tareas así que reintentar";
    retry_left(left, job) => "{left} tasks were left: a node may still hold an attempt of them and was asked to let go; try again: flota job retry {job}",
        "{left} tareas se dejaron como están: puede que un nodo tenga aún un intento y se le pidió que lo suelte; repita: flota job retry {job}";
    no_failures(job) => "no task of job {job} failed", "ninguna tarea del trabajo {job} falló";
    more_groups => "there are more reasons; these are the most frequent", "hay más motivos; estos son los más frecuentes";
    failure_example(job, task) => "  its output: flota job logs {job} --task {task}", "  su salida: flota job logs {job} --task {task}";
}
