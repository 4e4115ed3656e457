//! Texts of the help pages.

use super::texts;

texts! { HELP:
    about_flota => "Turns a handful of Linux machines into one fleet: runs jobs where there is room for them",
        "Convierte un puñado de máquinas Linux en una sola flota: ejecuta trabajos donde haya sitio";
    about_server => "Runs the server of a fleet: it decides what runs where, and keeps the record",
        "Ejecuta el servidor de una flota: decide qué se ejecuta y dónde, y guarda el registro";
    about_agent => "Runs the agent of this machine: it lends the machine to the fleet",
        "Ejecuta el agente de esta máquina: presta la máquina a la flota";
    about_agent_stop => "Ends what the agent left running when it detached",
        "Termina lo que el agente dejó en marcha al separarse";
    about_dev => "Starts a server and some agents on this machine; one Ctrl-C ends all of it",
        "Arranca un servidor y varios agentes en esta máquina; un Ctrl-C lo termina todo";
    about_bench => "Measures this machine with a server and agents of its own, beside what bare programs reach",
        "Mide esta máquina con un servidor y agentes propios, junto a lo que logran programas sin más";
    about_fleet => "Looks at the fleet as a whole", "Mira la flota en conjunto";
    about_fleet_show => "Shows the fleet as a whole", "Muestra la flota en conjunto";
    about_fleet_recover => "Lets work be placed again after the store was found older than the fleet",
        "Permite asignar trabajo otra vez cuando el almacén resultó más antiguo que la flota";
    about_node => "Looks at the nodes of the fleet", "Mira los nodos de la flota";
    about_node_ls => "Lists the nodes", "Lista los nodos";
    about_node_show => "Shows one node", "Muestra un nodo";
    about_kernel => "Looks at the built-in functions", "Mira las funciones incluidas";
    about_kernel_ls => "Lists the built-in functions that a job can run",
        "Lista las funciones incluidas que un trabajo puede ejecutar";
    about_submit => "Submits a job: a program or a built-in function, once or as an array",
        "Envía un trabajo: un programa o una función incluida, una vez o como serie";
    about_job => "Submits jobs and looks at them", "Envía trabajos y los mira";
    about_job_ls => "Lists the jobs, newest first", "Lista los trabajos, primero los más nuevos";
    about_job_show => "Shows one job", "Muestra un trabajo";
    about_job_tasks => "Lists the tasks of a job", "Lista las tareas de un trabajo";
    about_job_wait => "Waits until a job is finished; exits with 5 when some task did not succeed",
        "Espera a que un trabajo termine; sale con 5 si alguna tarea no tuvo éxito";
    about_job_cancel => "Cancels what has not ended of a job", "Cancela lo que no ha terminado de un trabajo";
    about_job_logs => "Prints what the tasks of a job wrote", "Muestra lo que escribieron las tareas de un trabajo";
    about_job_results => "Fetches the results of a job", "Recoge los resultados de un trabajo";
    about_version => "Prints the version", "Muestra la versión";
    about_help => "Explains a command or a topic (exit-codes)", "Explica una orden o un tema (exit-codes)";

    help_help => "Print this help", "Muestra esta ayuda";
    help_server => "The server: http://HOST:PORT or unix:PATH [FLOTA_SERVER]; without it, the one on this machine",
        "El servidor: http://HOST:PUERTO o unix:RUTA [FLOTA_SERVER]; sin ella, el de esta máquina";
    help_token_file => "File with the token for the server [FLOTA_TOKEN_FILE]",
        "Archivo con el token para el servidor [FLOTA_TOKEN_FILE]";
    help_output => "Output of reads: table, json, jsonl, csv or name [FLOTA_OUTPUT]",
        "Formato de las lecturas: table, json, jsonl, csv o name [FLOTA_OUTPUT]";
    help_quiet => "Print only names or numbers; no progress", "Muestra solo nombres o números; sin progreso";
    help_no_headers => "Leave out the header of tables and CSV", "Omite la cabecera de tablas y CSV";
    help_color => "Colours: auto, always or never [FLOTA_COLOR, NO_COLOR]",
        "Colores: auto, always o never [FLOTA_COLOR, NO_COLOR]";
    help_lang => "Language of the texts: en or es [FLOTA_LANG, LC_ALL, LC_MESSAGES, LANG]",
        "Idioma de los textos: en o es [FLOTA_LANG, LC_ALL, LC_MESSAGES, LANG]";
    help_config => "Settings file [FLOTA_CONFIG]; otherwise $XDG_CONFIG_HOME/flota/flota.toml or /etc/flota/flota.toml",
        "Archivo de ajustes [FLOTA_CONFIG]; si no, $XDG_CONFIG_HOME/flota/flota.toml o /etc/flota/flota.toml";
    help_verbose => "Log more (twice: much more)", "Registra más (dos veces: mucho más)";
    help_timeout => "Longest wait for the answer of the server, for instance 10s [FLOTA_TIMEOUT]",
        "Espera máxima por la respuesta del servidor, por ejemplo 10s [FLOTA_TIMEOUT]";

    help_data => "Data folder [FLOTA_DATA]", "Carpeta de datos [FLOTA_DATA]";
    help_listen => "Address to listen on; port 0 picks a free one [FLOTA_LISTEN]",
        "Dirección en la que escuchar; el puerto 0 elige uno libre [FLOTA_LISTEN]";
    help_agent_name => "Name of this node; otherwise the host name [FLOTA_NAME]",
        "Nombre de este nodo; si no, el de la máquina [FLOTA_NAME]";
    help_agent_cpus => "Cores to lend, thousandths allowed; otherwise all [FLOTA_CPUS]",
        "Núcleos que se prestan, con milésimas; si no, todos [FLOTA_CPUS]";
    help_agent_memory => "Memory to lend, for instance 4GiB; otherwise all [FLOTA_MEMORY]",
        "Memoria que se presta, por ejemplo 4GiB; si no, toda [FLOTA_MEMORY]";
    help_agent_cgroup => "Control groups for programs: auto (below its own), off, or a path [FLOTA_CGROUP]",
        "Grupos de control para los programas: auto (bajo el propio), off o una ruta [FLOTA_CGROUP]";
    value_cgroup => "WHICH", "CUÁLES";
    help_agent_label => "Label of this node; may be repeated [FLOTA_LABELS]",
        "Etiqueta de este nodo; se puede repetir [FLOTA_LABELS]";
    help_line_listen => "Serve the line protocol there, posix or gestor, on loopback; may be repeated [FLOTA_LINE_LISTEN]",
        "Sirve ahí el protocolo de líneas, posix o gestor, en loopback; se puede repetir [FLOTA_LINE_LISTEN]";
    help_hpc_listen => "Serve clients of the older cluster there, as its master, on loopback [FLOTA_HPC_LISTEN]",
        "Sirve ahí a los clientes del clúster antiguo, como su maestro, en loopback [FLOTA_HPC_LISTEN]";
    help_jobs_dir => "Folder of the files of jobs; otherwise DATA/jobs [FLOTA_JOBS_DIR]",
        "Carpeta de los archivos de trabajos; si no, DATA/jobs [FLOTA_JOBS_DIR]";
    help_job_file => "File of jobs that is loaded and watched, below that folder; otherwise trabajos.txt [FLOTA_JOB_FILE]",
        "Archivo de trabajos que se carga y se vigila, bajo esa carpeta; si no, trabajos.txt [FLOTA_JOB_FILE]";
    help_slave_listen => "Be a slave of the older cluster there, on loopback [FLOTA_SLAVE_LISTEN]",
        "Es ahí un esclavo del clúster antiguo, en loopback [FLOTA_SLAVE_LISTEN]";
    help_memory_listen => "Be a memory monitor of the older cluster there, on loopback [FLOTA_MEMORY_LISTEN]",
        "Es ahí un monitor de memoria del clúster antiguo, en loopback [FLOTA_MEMORY_LISTEN]";
    help_dev_compat => "Serve clients of the older systems, on loopback at their customary ports",
        "Sirve a los clientes de los sistemas antiguos, en loopback y en sus puertos de costumbre";
    value_line_listener => "DIALECT=ADDRESS:PORT", "DIALECTO=DIRECCIÓN:PUERTO";
    help_stop_all => "End every program and keeper of the data folder",
        "Termina todos los programas y guardianes de la carpeta de datos";
    help_dev_nodes => "Number of agents; the machine is divided among them",
        "Cantidad de agentes; la máquina se reparte entre ellos";
    help_dev_data => "Data folder; `dev` keeps all it has in its subfolder `dev` [FLOTA_DATA]",
        "Carpeta de datos; `dev` guarda todo en su subcarpeta `dev` [FLOTA_DATA]";
    help_dev_reset => "Empty the subfolder `dev` first: jobs, results and nodes are forgotten",
        "Vacía antes la subcarpeta `dev`: se olvidan trabajos, resultados y nodos";

    help_bench => "What to measure: list, noop, exec, latency, cores, agent, service, depth or all",
        "Qué se mide: list, noop, exec, latency, cores, agent, service, depth o all";
    help_bench_agents => "Number of agents; the machine is divided among them (1)",
        "Cantidad de agentes; la máquina se reparte entre ellos (1)";
    help_bench_data => "Data folder, on a disk; all that is written goes to its subfolder `bench` and is removed [FLOTA_DATA]",
        "Carpeta de datos, en un disco; todo se escribe en su subcarpeta `bench` y se borra después [FLOTA_DATA]";

    help_node => "Name or number of the node", "Nombre o número del nodo";
    help_job => "Number of the job, or `last`", "Número del trabajo, o `last`";
    help_limit => "At most so many lines", "Como mucho tantas líneas";
    help_job_phase => "Only jobs in this phase: active, cancelling or finished",
        "Solo trabajos en esta fase: active, cancelling o finished";
    help_job_kind => "Jobs of this kind: batch (otherwise), service (revisions of services) or all",
        "Trabajos de este tipo: batch (si no se dice otro), service (revisiones de servicios) o all";
    help_task_state => "Only tasks in this state: waiting, parked, granted, succeeded, failed, cancelled, dead, unknown, blocked or skipped",
        "Solo tareas en este estado: waiting, parked, granted, succeeded, failed, cancelled, dead, unknown, blocked o skipped";
    help_wait_timeout => "Give up after so long, with exit code 8; the job goes on",
        "Abandona después de ese tiempo, con código de salida 8; el trabajo sigue";
    help_logs_task => "Only this task", "Solo esta tarea";
    help_logs_stream => "stdout, stderr, result or both (stdout and stderr)",
        "stdout, stderr, result o both (stdout y stderr)";
    help_logs_follow => "Go on until the task ends", "Continúa hasta que la tarea termine";
    help_results_folder => "Write each output to a file TASK.STREAM of this folder; otherwise print one JSON line per task",
        "Escribe cada salida en un archivo TAREA.SALIDA de esta carpeta; si no, muestra una línea JSON por tarea";

    help_program => "The program and its arguments; {{index}}, {{job}} and {{attempt}} are replaced in them",
        "El programa y sus argumentos; en ellos se sustituyen {{index}}, {{job}} y {{attempt}}";
    help_kernel => "Run this built-in function instead of a program", "Ejecuta esta función incluida en vez de un programa";
    help_parameter => "Parameter of the built-in function; may be repeated",
        "Parámetro de la función incluida; se puede repetir";
    help_file => "Read the job from a TOML or JSON file (- is standard input); other options override it",
        "Lee el trabajo de un archivo TOML o JSON (- es la entrada estándar); las demás opciones mandan sobre él";
    help_array => "One task for each index from FIRST to LAST", "Una tarea por cada índice del PRIMERO al ÚLTIMO";
    help_name => "Name of the job, for people", "Nombre del trabajo, para las personas";
    help_priority => "1 high, 2 medium, 3 low; otherwise 2", "1 alta, 2 media, 3 baja; si no, 2";
    help_cpus => "Cores for each task, thousandths allowed; otherwise 1", "Núcleos para cada tarea, con milésimas; si no, 1";
    help_memory => "Memory for each task, for instance 512MiB; otherwise not counted",
        "Memoria para cada tarea, por ejemplo 512MiB; si no, no se cuenta";
    help_submit_node => "Only on this node", "Solo en este nodo";
    help_label => "Only on nodes with this label; may be repeated", "Solo en nodos con esta etiqueta; se puede repetir";
    help_submit_timeout => "Longest run of one attempt, for instance 90s", "Duración máxima de un intento, por ejemplo 90s";
    help_grace => "From the stop signal to the kill", "Desde la señal de parada hasta la muerte forzada";
    help_retries => "How many failed attempts are followed by another one", "Cuántos intentos fallidos van seguidos de otro";
    help_retry_never => "Start each task at most once, whatever happens", "Arranca cada tarea como mucho una vez, pase lo que pase";
    help_backoff => "Wait before the first retry; doubles each time", "Espera antes del primer reintento; se duplica cada vez";
    help_on_disconnect => "When the node loses the server: keep (go on), keep:DURATION (replace after that), or stop",
        "Si el nodo pierde el servidor: keep (sigue), keep:DURACIÓN (se reemplaza después) o stop";
    help_env => "Environment variable of the program; may be repeated", "Variable de entorno del programa; se puede repetir";
    help_cwd => "Working directory on the node; otherwise /, or this one for a program such as ./sim",
        "Carpeta de trabajo en el nodo; si no, /, o esta misma para un programa como ./sim";
    help_stdin => "File on the node to read as standard input", "Archivo del nodo que se lee como entrada estándar";
    help_idempotency_key => "Submitting again with the same key finds the same job; otherwise a random one",
        "Enviar otra vez con la misma clave encuentra el mismo trabajo; si no, una al azar";
    help_wait => "Wait until the job is finished; exits with 5 when some task did not succeed",
        "Espera a que el trabajo termine; sale con 5 si alguna tarea no tuvo éxito";
    help_topic => "A command, or exit-codes", "Una orden, o exit-codes";

    exit_codes_title => "Exit codes of flota", "Códigos de salida de flota";
    exit_ok => "all is well (an empty list too)", "todo bien (también una lista vacía)";
    exit_failed => "it failed", "falló";
    exit_usage => "the command line or the job is wrong", "la línea de órdenes o el trabajo no son correctos";
    exit_not_found => "there is no such thing", "no existe";
    exit_forbidden => "not authenticated, or not allowed", "sin autenticar, o sin permiso";
    exit_job_failed => "the job or service waited for did not succeed", "el trabajo o servicio esperado no tuvo éxito";
    exit_refused => "refused by the present state (already running, conflict, quota)",
        "rechazado por el estado actual (ya en marcha, conflicto, cuota)";
    exit_unreachable => "the server does not answer", "el servidor no responde";
    exit_wait_timeout => "the wait was over before the job or service was there", "la espera se acabó antes que el trabajo o servicio";
    exit_partial => "some nodes did not answer; the rest is there", "algunos nodos no respondieron; lo demás está";
    exit_bug => "a bug in flota; please report it", "un error de flota; por favor, avise";
    exit_interrupted => "interrupted with Ctrl-C", "interrumpido con Ctrl-C";
}
