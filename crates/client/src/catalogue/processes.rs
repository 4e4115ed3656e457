//! Texts about processes and samples.

use super::texts;

texts! { PROCESSES:
    about_ps => "Lists the processes of all nodes, or of some; names the nodes that do not answer",
        "Lista los procesos de todos los nodos, o de algunos; nombra los nodos que no responden";
    about_process => "Looks at one process", "Mira un proceso";
    about_process_show => "Shows a process from all sides: files, sockets, threads, limits, memory and more",
        "Muestra un proceso desde todos los lados: archivos, conexiones, hilos, límites, memoria y más";
    help_show_process => "Handle of a process (`flota ps -q` prints it), or NODE/PID",
        "Identificador de un proceso (lo muestra `flota ps -q`), o NODO/PID";
    help_show_environment => "The values of its variables too; they may be secrets",
        "También los valores de sus variables; pueden ser secretos";
    about_start => "Starts a program on a node, once, and prints the number of its job",
        "Arranca un programa en un nodo, una vez, y muestra el número de su trabajo";
    about_stop => "Ends processes with all their descendants, or jobs, and waits until they are gone",
        "Termina procesos con todos sus descendientes, o trabajos, y espera a que ya no estén";
    about_signal => "Sends a signal to processes", "Envía una señal a procesos";
    about_logs => "Prints what a job wrote, as `flota job logs`", "Muestra lo que escribió un trabajo, como `flota job logs`";

    help_ps_nodes => "Names or numbers of nodes; otherwise all", "Nombres o números de nodos; si no, todos";
    help_ps_name => "Only processes with this in their name or command line",
        "Solo procesos con esto en su nombre o línea de órdenes";
    help_ps_regex => "Only processes whose name or command line this regular expression finds",
        "Solo procesos en cuyo nombre o línea de órdenes aparece esta expresión regular";
    help_ps_state => "Only processes in these states, by letter, for instance R or DZ",
        "Solo procesos en estos estados, por letra, por ejemplo R o DZ";
    help_ps_cpu_min => "Only processes that use at least so many percent of a core",
        "Solo procesos que usan al menos este porcentaje de un núcleo";
    help_ps_memory_min => "Only processes with at least so much resident memory",
        "Solo procesos con al menos esta memoria residente";
    help_ps_group => "Sums instead of processes, by what they have in common: name, user, cgroup, job or node",
        "Sumas en vez de procesos, por lo que tienen en común: name, user, cgroup, job o node";
    help_ps_watch => "Goes on, drawn anew every second or as often as said (500ms to 1m); in a pipe, a line of JSON for each change",
        "Sigue, dibujado de nuevo cada segundo o cada cuanto se diga (de 500ms a 1m); en una tubería, una línea de JSON por cada cambio";
    watch_interrupted => "the server does not answer; nothing is known until it does",
        "el servidor no responde; no se sabe nada hasta que responda";
    help_ps_tree => "Each process below its parent", "Cada proceso debajo de su padre";
    help_ps_user => "Only processes of this user, by name or number", "Solo procesos de este usuario, por nombre o número";
    help_ps_job => "Only processes of this job", "Solo procesos de este trabajo";
    help_ps_managed => "Only what Flota runs", "Solo lo que ejecuta Flota";
    help_ps_all => "Threads of the kernel too", "También los hilos del núcleo del sistema";
    help_ps_sort => "Order: node, pid, parent, name, command, user, state, cgroup, job, cpu, machine, memory, time, threads or started; of groups: group, processes, cpu or memory",
        "Orden: node, pid, parent, name, command, user, state, cgroup, job, cpu, machine, memory, time, threads o started; de grupos: group, processes, cpu o memory";
    help_start_cpus => "Cores to count for it, thousandths allowed; otherwise 0.001, so that it need not wait",
        "Núcleos que se cuentan para él, con milésimas; si no, 0.001, para que no tenga que esperar";
    help_stop_target => "Handle of a process (`flota ps -q` prints it), NODE/PID with --force-pid, or a job's number",
        "Identificador de un proceso (lo muestra `flota ps -q`), NODO/PID con --force-pid, o número de un trabajo";
    help_stop_grace => "From SIGTERM to SIGKILL, at most 5m; otherwise 10s", "De SIGTERM a SIGKILL, como mucho 5m; si no, 10s";
    help_signal => "Name or number of the signal, for instance HUP or 1", "Nombre o número de la señal, por ejemplo HUP o 1";
    help_process => "Handle of a process (`flota ps -q` prints it), or NODE/PID with --force-pid",
        "Identificador de un proceso (lo muestra `flota ps -q`), o NODO/PID con --force-pid";
    help_force => "Take NODE/PID: whoever has that number by then, which may be another process than you saw",
        "Acepta NODO/PID: quien tenga el número en ese momento, que puede ser otro proceso que el visto";

    value_order => "ORDER", "ORDEN";
    value_text => "TEXT", "TEXTO";
    value_pattern => "PATTERN", "PATRÓN";
    value_letters => "LETTERS", "LETRAS";
    value_percent => "PERCENT", "PORCENTAJE";
    value_user => "USER", "USUARIO";
    value_signal => "SIGNAL", "SEÑAL";
    value_process => "PROCESS", "PROCESO";
    value_stop_target => "PROCESS|JOB", "PROCESO|TRABAJO";
    why_not_a_target => "write the handle of a process, NODE/PID, or the number of a job",
        "escriba el identificador de un proceso, NODO/PID, o el número de un trabajo";
    why_not_a_process => "write the handle of a process, or NODE/PID", "escriba el identificador de un proceso, o NODO/PID";
    why_not_a_signal => "write a name such as TERM, or a number from 1 to 64",
        "escriba un nombre como TERM, o un número del 1 al 64";
    why_duration_too_long(most) => "at most {most}", "como mucho {most}";

    header_user => "USER", "USUARIO";
    header_core_percent => "CORE %", "% NÚCLEO";
    header_machine_percent => "MACHINE %", "% MÁQUINA";
    header_control_group => "CONTROL GROUP", "GRUPO DE CONTROL";
    header_processes => "PROCESSES", "PROCESOS";
    header_threads => "THREADS", "HILOS";
    value_none => "(none)", "(ninguno)";
    header_command => "COMMAND", "ORDEN";
    header_busy => "BUSY CORES", "NÚCLEOS EN USO";
    header_cores => "EACH CORE", "CADA NÚCLEO";
    header_load => "LOAD", "CARGA";
    header_used_memory => "USED MEMORY", "MEMORIA EN USO";
    header_swap => "USED SWAP", "INTERCAMBIO EN USO";
    header_data => "DATA FOLDER FREE", "LIBRE PARA DATOS";
    header_disks => "DISKS", "DISCOS";
    header_networks => "NETWORKS", "REDES";
    header_pressure => "PRESSURE", "PRESIÓN";
    header_uptime => "UP FOR", "ENCENDIDO HACE";
    header_sampled => "SAMPLED", "MEDIDO";
    device_rates(name, incoming, outgoing) => "{name} in {incoming}/s out {outgoing}/s",
        "{name} entra {incoming}/s sale {outgoing}/s";
    pressures(cpu, memory, io) => "cpu {cpu}, memory {memory}, io {io}", "cpu {cpu}, memoria {memory}, disco {io}";
    sampled_now(ago) => "{ago} ago", "hace {ago}";
    sampled_before(ago) => "{ago} ago: these values are not current", "hace {ago}: estos valores no son actuales";
    not_sampled => "not since the server's start", "no desde el arranque del servidor";

    header_handle => "HANDLE", "IDENTIFICADOR";
    header_parent => "PARENT", "PADRE";
    header_seconds => "CPU SECONDS", "SEGUNDOS DE USO";
    header_started => "STARTED", "ARRANCADO";
    header_program => "PROGRAM", "PROGRAMA";
    header_folder => "FOLDER", "CARPETA";
    header_root => "ROOT", "RAÍZ";
    header_value => "VALUE", "VALOR";
    header_soft => "SOFT", "VIGENTE";
    header_hard => "HARD", "MÁXIMO";
    header_unit => "UNIT", "UNIDAD";
    header_number => "NUMBER", "NÚMERO";
    header_kind => "KIND", "TIPO";
    header_access => "ACCESS", "ACCESO";
    header_target => "TARGET", "DESTINO";
    header_protocol => "PROTOCOL", "PROTOCOLO";
    header_local => "LOCAL END", "EXTREMO LOCAL";
    header_remote => "REMOTE END", "EXTREMO REMOTO";
    header_controllers => "CONTROLLERS", "CONTROLADORES";
    header_path => "PATH", "RUTA";
    section_arguments => "ARGUMENTS", "ARGUMENTOS";
    section_environment => "ENVIRONMENT", "ENTORNO";
    section_limits => "LIMITS", "LÍMITES";
    section_files => "OPEN FILES", "ARCHIVOS ABIERTOS";
    section_sockets => "SOCKETS", "CONEXIONES";
    section_control_groups => "CONTROL GROUPS", "GRUPOS DE CONTROL";
    section_io => "INPUT AND OUTPUT", "ENTRADA Y SALIDA";
    section_namespaces => "NAMESPACES", "ESPACIOS DE NOMBRES";
    section_memory => "MEMORY IN BYTES", "MEMORIA EN BYTES";
    section_status => "STATUS", "SITUACIÓN";
    section_children => "CHILDREN", "HIJOS";
    value_masked => "(masked; --environment shows it)", "(oculto; --environment lo muestra)";
    value_unlimited => "unlimited", "sin límite";
    value_deleted => "(deleted)", "(borrado)";
    rows_of(shown, all) => "{shown} of {all}", "{shown} de {all}";

    no_processes_match => "no process matches", "ningún proceso coincide";
    processes_shown(shown, all) => "{shown} of {all}; -n shows more", "{shown} de {all}; -n muestra más";
    processes_left_out(node, count) => "{node} has {count} processes more than it can list",
        "{node} tiene {count} procesos más de los que puede listar";
    error_list_partial(silent, all) => "{silent} of {all} nodes did not answer", "{silent} de {all} nodos no respondieron";
    more_silent_nodes(count) => "and {count} more", "y {count} más";
    started(job, node, pid) => "job {job} started on {node}: process {pid}", "trabajo {job} arrancado en {node}: proceso {pid}";
    started_unseen(job, node) => "job {job} on {node}", "trabajo {job} en {node}";
    started_next(job) => "  its output: flota logs {job} -f\n  stop it:    flota stop {job}",
        "  su salida: flota logs {job} -f\n  pararlo:   flota stop {job}";
    start_waits(job, node) => "job {job} waits for room on {node}", "el trabajo {job} espera sitio en {node}";
    error_node_not_up(node, phase) => "{node} is {phase}: nothing was started", "{node} está {phase}: no se arrancó nada";
    hint_node_not_up(node) => "`flota submit --node {node} -- PROGRAM` waits for it",
        "`flota submit --node {node} -- PROGRAMA` lo espera";
    stopped(process, count) => "{process} stopped: {count} processes ended", "{process} parado: terminaron {count} procesos";
    killed(process, count) => "{process} killed: {count} processes ended, not all within the grace",
        "{process} matado: terminaron {count} procesos, no todos dentro del plazo";
    job_stopped(job) => "job {job} stopped", "trabajo {job} parado";
    signalled(process, signal) => "{process}: {signal} sent", "{process}: {signal} enviada";
    error_grace_of_job => "--grace is for processes; a job has its own", "--grace es para procesos; un trabajo tiene el suyo";
    error_process_number(name) => "{name} may be another process than the one you saw",
        "{name} puede ser otro proceso que el que vio";
    process_now(name, command, user) => "now {name} is `{command}` of {user}", "ahora {name} es `{command}` de {user}";
    hint_process_number(command, handle) => "if it is the one: {command} {handle}", "si es ese: {command} {handle}";
}
