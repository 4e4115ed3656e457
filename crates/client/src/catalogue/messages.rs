//! Texts of the client: headers, progress, errors.

use super::texts;

texts! { MESSAGES:
    word_error => "error", "error";
    word_caused_by => "caused by", "causa";
    word_hint => "hint", "consejo";

    header_name => "NAME", "NOMBRE";
    header_id => "ID", "ID";
    header_phase => "PHASE", "FASE";
    header_cpus => "CPUS", "NÚCLEOS";
    header_memory => "MEMORY", "MEMORIA";
    header_running => "RUNNING", "EN MARCHA";
    header_labels => "LABELS", "ETIQUETAS";
    header_heard => "HEARD", "OÍDO HACE";
    header_version => "VERSION", "VERSIÓN";
    header_joined => "JOINED", "UNIDO";
    header_granted => "GRANTED", "CONCEDIDOS";
    header_containment => "CONTAINMENT", "CONTENCIÓN";
    header_enforced => "LIMITS", "LÍMITES";
    header_unclaimed => "UNCLAIMED", "SIN DUEÑO";
    header_job => "JOB", "TRABAJO";
    header_ended => "ENDED", "ACABADAS";
    header_failed => "FAILED", "FALLIDAS";
    header_priority => "PRIORITY", "PRIORIDAD";
    header_owner => "OWNER", "DUEÑO";
    header_age => "AGE", "EDAD";
    header_took => "TOOK", "DURÓ";
    header_task => "TASK", "TAREA";
    header_state => "STATE", "ESTADO";
    header_outcome => "OUTCOME", "DESENLACE";
    header_exit => "EXIT", "SALIDA";
    header_node => "NODE", "NODO";
    header_attempts => "ATTEMPTS", "INTENTOS";
    header_peak_memory => "PEAK", "PICO";
    header_tasks => "TASKS", "TAREAS";
    header_submitted => "SUBMITTED", "ENVIADO";
    header_finished => "FINISHED", "TERMINADO";
    header_work => "WORK", "LABOR";
    header_epoch => "EPOCH", "ÉPOCA";
    header_term => "TERM", "MANDATO";
    header_jobs_live => "LIVE JOBS", "TRABAJOS VIVOS";
    header_store_behind => "STORE BEHIND", "ALMACÉN ATRASADO";
    header_waiting_for_nodes => "WAITING FOR NODES", "ESPERANDO NODOS";
    header_code => "CODE", "CÓDIGO";
    header_meaning => "MEANING", "SIGNIFICADO";

    value_yes => "yes", "sí";
    value_no => "no", "no";
    value_never => "never", "nunca";
    free_of(used, all) => "{used} of {all}", "{used} de {all}";
    no_nodes_yet => "no nodes yet; on each machine run: flota agent --server URL",
        "aún no hay nodos; en cada máquina ejecute: flota agent --server URL";
    no_jobs_yet => "no jobs yet; try: flota submit --wait -- echo hello",
        "aún no hay trabajos; pruebe: flota submit --wait -- echo hola";
    no_jobs_match => "no job matches", "ningún trabajo coincide";
    no_tasks_match => "no task matches", "ninguna tarea coincide";
    more_lines(command) => "there is more: {command}", "hay más: {command}";

    submitted(job) => "job {job} submitted", "trabajo {job} enviado";
    submitted_before(job) => "job {job} was submitted before with this key", "el trabajo {job} ya se había enviado con esta clave";
    submitted_next(job) => "  wait for it: flota job wait {job}\n  its output:  flota job logs {job}",
        "  esperarlo:  flota job wait {job}\n  su salida:  flota job logs {job}";
    task_unkillable(task, span, processes) => "task {task}: stopping, killed {span} ago, still there: {processes}",
        "tarea {task}: deteniéndose, matada hace {span}, siguen ahí: {processes}";
    cancelling(job) => "job {job} is being cancelled", "el trabajo {job} se está cancelando";
    cancelled_at_once(job) => "job {job} is cancelled", "el trabajo {job} está cancelado";
    recovered => "work is placed again", "se vuelve a asignar trabajo";
    results_written(count, folder) => "{count} files written to {folder}", "{count} archivos escritos en {folder}";

    progress_counts(ended, total, granted, failed) => "{ended} of {total} ended, {granted} on nodes, {failed} did not succeed",
        "{ended} de {total} acabadas, {granted} en nodos, {failed} sin éxito";
    progress_left(span) => "about {span} left", "quedan unos {span}";
    progress_queued(total) => "{total} tasks in the queue, none on a node yet", "{total} tareas en la cola, ninguna en un nodo todavía";
    wait_succeeded(job, total, span) => "job {job}: all {total} tasks succeeded in {span}",
        "trabajo {job}: las {total} tareas tuvieron éxito en {span}";
    wait_one_succeeded(job, span) => "job {job} succeeded in {span}", "el trabajo {job} tuvo éxito en {span}";
    job_not_succeeded(job, bad, total) => "job {job}: {bad} of {total} tasks did not succeed",
        "trabajo {job}: {bad} de {total} tareas no tuvieron éxito";
    first_failing(task, story) => "the first is task {task}: {story}", "la primera es la tarea {task}: {story}";
    last_lines_of_stderr => "last lines of its stderr:", "últimas líneas de su stderr:";
    interrupted_job_goes_on(job) => "job {job} goes on; stop it with: flota job cancel {job}",
        "el trabajo {job} sigue; para pararlo: flota job cancel {job}";

    story_exited(code, node) => "exited with {code} on {node}", "salió con {code} en {node}";
    story_signalled(signal, node) => "ended by signal {signal} on {node}", "terminado por la señal {signal} en {node}";
    story_not_started(stage, why, node) => "not started on {node}: stage {stage}: {why}",
        "no arrancó en {node}: etapa {stage}: {why}";
    story_failed(why, node) => "failed on {node}: {why}", "falló en {node}: {why}";
    story_out_of_memory(node) => "out of memory on {node}", "sin memoria en {node}";
    story_timed_out(node) => "ran longer than its time limit on {node}", "superó su límite de tiempo en {node}";
    story_cancelled => "cancelled", "cancelada";
    story_lost(node) => "lost with {node}", "perdida con {node}";
    story_unknown(node) => "may have run or not on {node}; nobody can know", "pudo ejecutarse o no en {node}; nadie puede saberlo";
    story_other(word, node) => "{word} on {node}", "{word} en {node}";
    story_no_attempt(state) => "{state} without an attempt", "{state} sin ningún intento";
    node_number(number) => "node {number}", "nodo {number}";

    follow_ended(task, story) => "task {task}: {story}", "tarea {task}: {story}";
    story_succeeded => "succeeded", "tuvo éxito";
    output_restarted(task) => "the output of task {task} starts again (a new attempt)",
        "la salida de la tarea {task} empieza otra vez (un intento nuevo)";
    logs_not_started(task) => "task {task} has not been started", "la tarea {task} no ha arrancado";

    error_server_unreachable(server) => "no server answers at {server}", "ningún servidor responde en {server}";
    hint_server_unreachable => "start one with `flota dev` or `flota server`, or say where it is with --server",
        "arranque uno con `flota dev` o `flota server`, o diga dónde está con --server";
    error_server_timeout(server, span) => "{server} did not answer within {span}", "{server} no respondió en {span}";
    hint_server_timeout => "try again, or wait longer with --timeout", "pruebe otra vez, o espere más con --timeout";
    hint_submit_again(key) => "it is not known whether the job was accepted; submitting again with --idempotency-key {key} is safe",
        "no se sabe si el trabajo fue aceptado; enviarlo otra vez con --idempotency-key {key} es seguro";
    error_connection_broken(server) => "the connection to {server} broke", "se cortó la conexión con {server}";
    error_answer_invalid(path, server) => "{server} gave an answer to {path} that is not understood",
        "{server} dio a {path} una respuesta que no se entiende";
    hint_answer_invalid => "is it a Flota server, and of the same version? `flota version` prints ours",
        "¿es un servidor de Flota, y de la misma versión? `flota version` muestra la nuestra";
    error_answer_too_long(path, most) => "the answer to {path} is longer than {most} bytes",
        "la respuesta a {path} pasa de {most} bytes";
    error_endpoint_invalid(text) => "`{text}` is not the address of a server", "`{text}` no es la dirección de un servidor";
    hint_endpoint_invalid => "write http://HOST:PORT or unix:PATH", "escriba http://HOST:PUERTO o unix:RUTA";
    error_endpoint_tls(text) => "`{text}`: this version speaks no TLS", "`{text}`: esta versión no habla TLS";
    error_token_unreadable(path) => "the token file {path} cannot be read", "no se puede leer el archivo del token {path}";
    error_token_invalid(path) => "the file {path} holds no token", "el archivo {path} no contiene un token";
    error_file_unreadable(path) => "{path} cannot be read", "no se puede leer {path}";
    error_file_unwritable(path) => "{path} cannot be written", "no se puede escribir {path}";
    error_file_too_long(path, most) => "{path} is longer than {most} bytes", "{path} pasa de {most} bytes";
    error_output_unwritable => "standard output cannot be written", "no se puede escribir en la salida estándar";
    error_spec_invalid(path) => "the job of {path} is wrong", "el trabajo de {path} no es correcto";
    error_command_spec_invalid => "the job is wrong", "el trabajo no es correcto";
    error_nothing_to_run => "nothing to run", "no hay nada que ejecutar";
    hint_nothing_to_run => "give a program (flota submit -- echo hello), --kernel NAME or --file FILE",
        "dé un programa (flota submit -- echo hola), --kernel NOMBRE o --file ARCHIVO";
    error_parameter_without_kernel => "-p needs --kernel", "-p necesita --kernel";
    error_program_option_with_kernel => "--env, --cwd and --stdin are for programs", "--env, --cwd y --stdin son para programas";
    error_wait_timeout(job, span) => "job {job} is not finished after {span}", "el trabajo {job} no ha terminado después de {span}";
    hint_wait_timeout(job) => "it goes on; wait again with `flota job wait {job}`", "sigue en marcha; espere otra vez con `flota job wait {job}`";
    error_interrupted => "interrupted", "interrumpido";
    error_follow_needs_task(job, count) => "job {job} has {count} tasks; one can be followed at a time",
        "el trabajo {job} tiene {count} tareas; se sigue una cada vez";
    hint_follow_needs_task(task) => "give --task, for instance --task {task}", "use --task, por ejemplo --task {task}";
    hint_next_logs(job, task) => "flota job logs {job} --task {task}", "flota job logs {job} --task {task}";
    hint_next_tasks(job, state) => "flota job tasks {job} --state {state}", "flota job tasks {job} --state {state}";
    error_random => "the system gives no random numbers", "el sistema no da números aleatorios";
}
