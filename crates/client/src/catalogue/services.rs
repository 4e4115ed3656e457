//! Texts about services.

use super::texts;

texts! { SERVICES:
    about_service => "Keeps programs up: applies services and looks at them",
        "Mantiene programas en marcha: aplica servicios y los mira";
    about_service_apply => "Makes the services of a file as the file says: new, changed, scaled or started",
        "Deja los servicios de un archivo como dice el archivo: nuevos, cambiados, escalados o iniciados";
    about_service_run => "Makes a service, or changes it, from the command line",
        "Crea un servicio, o lo cambia, desde la línea de órdenes";
    about_service_ls => "Lists the services", "Lista los servicios";
    about_service_show => "Shows one service with its replicas; of a crash loop, the last lines",
        "Muestra un servicio con sus réplicas; si falla una y otra vez, sus últimas líneas";
    about_service_scale => "Changes how many replicas a service has", "Cambia cuántas réplicas tiene un servicio";
    about_service_restart => "Replaces all replicas by new ones, a few at a time",
        "Sustituye todas las réplicas por otras nuevas, de pocas en pocas";
    about_service_stop => "Stops all replicas of a service", "Detiene todas las réplicas de un servicio";
    about_service_start => "Starts a service that was stopped", "Inicia un servicio que estaba detenido";
    about_service_rm => "Forgets a service that is stopped", "Olvida un servicio que está detenido";

    about_service_history => "Lists the specs that a service had: who applied them, when, and what changed",
        "Lista lo que un servicio tuvo: quién lo aplicó, cuándo y qué cambió";
    about_service_rollback => "Updates a service to what it was before", "Devuelve un servicio a como era antes";
    help_service_at_a_time => "How many replicas are replaced at a time; otherwise as the service says",
        "Cuántas réplicas se sustituyen a la vez; si no, las que diga el servicio";
    help_service_to => "Which revision, as history lists them; otherwise the one before the current one",
        "Qué revisión, de las que lista history; si no, la anterior a la actual";
    value_revision => "REVISION", "REVISIÓN";

    help_service => "Name of a service", "Nombre de un servicio";
    help_service_file => "File of services in TOML, YAML or JSON, or - for standard input",
        "Archivo de servicios en TOML, YAML o JSON, o - para la entrada estándar";
    help_service_replicas => "How many replicas run at a time; otherwise 1 when it is made",
        "Cuántas réplicas hay a la vez; si no, 1 al crearlo";
    help_service_cpus => "Cores that each replica holds, thousandths allowed; otherwise 0.001",
        "Núcleos que retiene cada réplica, con milésimas; si no, 0.001";
    help_service_wait => "Wait until it is so: all replicas ready, or all stopped; exits with 5 when it fails",
        "Espera hasta que sea así: todas las réplicas listas, o todas detenidas; sale con 5 si falla";
    help_service_wait_timeout => "Longest wait; otherwise without end", "Espera máxima; si no, sin fin";
    help_env_file => "File with variables, NAME=VALUE on each line", "Archivo con variables, NOMBRE=VALOR en cada línea";
    help_one_per_node => "Never two replicas on one node", "Nunca dos réplicas en un nodo";
    help_restart => "When it runs again: never, on-failure, always or unless-stopped; otherwise on-failure",
        "Cuándo se ejecuta otra vez: never, on-failure, always o unless-stopped; si no, on-failure";
    help_ready_http => "It is ready when GET of this answers 200 to 399, for instance :8080/ready",
        "Está listo cuando un GET a esto responde de 200 a 399, por ejemplo :8080/ready";
    help_ready_tcp => "It is ready when it takes connections here, for instance :5432",
        "Está listo cuando acepta conexiones aquí, por ejemplo :5432";
    help_stop_signal => "First signal of a stop; otherwise TERM", "Primera señal para detenerlo; si no, TERM";
    help_depends_on => "A service that must be started before; may be given several times",
        "Un servicio que debe estar iniciado antes; puede darse varias veces";
    value_job_or_service => "JOB|SERVICE", "TRABAJO|SERVICIO";
    help_job_or_service => "Number of a job, last, or the name of a service", "Número de un trabajo, last, o nombre de un servicio";
    value_service => "SERVICE", "SERVICIO";

    header_service => "SERVICE", "SERVICIO";
    header_ready => "READY", "LISTAS";
    header_replica => "REPLICA", "RÉPLICA";
    header_replicas => "REPLICAS", "RÉPLICAS";
    header_run => "RUN", "EJECUCIÓN";
    header_restarts => "RESTARTS", "REINICIOS";
    header_last_end => "LAST END", "ÚLTIMO FIN";
    header_since => "SINCE", "DESDE HACE";
    header_waits_for => "WAITS FOR", "ESPERA A";
    header_changed => "CHANGED", "CAMBIADO HACE";
    header_applied => "APPLIED", "APLICADO";
    header_current => "CURRENT", "ACTUAL";
    header_cause => "CAUSE", "CAUSA";
    header_by => "BY", "POR";
    header_what_changed => "CHANGED FIELDS", "CAMPOS CAMBIADOS";
    header_revision => "REVISION", "REVISIÓN";

    ready_of(ready, wanted) => "{ready} of {wanted}", "{ready} de {wanted}";
    no_services_yet => "there are no services yet; flota service run makes one",
        "todavía no hay servicios; flota service run crea uno";
    applied_now(service, applied) => "service {service}: {applied}", "servicio {service}: {applied}";
    service_next(service) => "  look at it: flota service show {service}\n  stop it:    flota service stop {service}",
        "  mirarlo:   flota service show {service}\n  detenerlo: flota service stop {service}";
    service_is(service, phase, ready, wanted) => "service {service}: {phase}, {ready} of {wanted} ready",
        "servicio {service}: {phase}, {ready} de {wanted} listas";
    service_ready(service, count) => "service {service}: {count} ready", "servicio {service}: {count} listas";
    service_stopped(service) => "service {service}: stopped", "servicio {service}: detenido";
    service_refused(service, left) => "service {service}: refused; {left} after it in the file were not applied",
        "servicio {service}: rechazado; {left} tras él en el archivo no se aplicaron";
    service_removed(service) => "service {service}: removed", "servicio {service}: borrado";
    last_end_exit(code) => "exit {code}", "código {code}";
    last_end_not_started(stage, why) => "not started: stage {stage}: {why}", "no arrancó: etapa {stage}: {why}";
    last_end_unhealthy(how) => "{how}, unhealthy", "{how}, sin salud";
    replica_unwell(replica, purpose, detail, span) => "replica {replica}: its {purpose} probe has failed for {span}: {detail}",
        "réplica {replica}: su sonda {purpose} falla desde hace {span}: {detail}";
    room_for_all(count) => "{count} waiting for room:", "{count} en espera de sitio:";
    room_halt_store_behind => "nothing is placed before a person runs flota recover",
        "no se coloca nada hasta que alguien ejecute flota recover";
    room_halt_queue_paused => "somebody holds all batch work back: flota queue show",
        "alguien retiene todo el trabajo por lotes: flota queue show";
    room_halt_nodes_awaited => "the server has just started and waits for the nodes that it knew",
        "el servidor acaba de arrancar y espera a los nodos que conocía";
    room_no_nodes => "no node has joined", "no se ha unido ningún nodo";
    room_free(nodes) => "{nodes} of the nodes have room: it is on its way", "{nodes} de los nodos tienen sitio: va en camino";
    room_at(nodes, names, reason) => "{nodes}: {reason} ({names})", "{nodes}: {reason} ({names})";
    room_nodes(count) => "nodes {count}", "nodos {count}";
    room_kernels_only => "run only some kernels", "solo ejecutan algunos kernels";
    room_other_node => "another node is asked for", "se pide otro nodo";
    room_label(key, wanted, found) => "label {key} is {found}, not {wanted}", "la etiqueta {key} es {found}, no {wanted}";
    room_label_missing(key, wanted) => "no label {key}={wanted}", "sin la etiqueta {key}={wanted}";
    room_too_small(of, wanted, found) => "too small: {wanted} of {of} asked for, at most {found} there",
        "demasiado pequeños: se piden {wanted} de {of}, hay {found} como mucho";
    room_occupied(of, wanted, found) => "occupied: {wanted} of {of} asked for, at most {found} free",
        "ocupados: se piden {wanted} de {of}, hay {found} libres como mucho";
    room_away => "away for the moment", "ausentes de momento";
    room_lost => "not heard of", "sin noticias";
    room_limits(limits) => "cannot enforce the limits {limits}", "no pueden imponer los límites {limits}";
    room_refusing => "refuse work at the moment (a full disk, say)", "rechazan trabajo de momento (disco lleno, por ejemplo)";
    room_unconfirmed => "have yet to stop what was replaced elsewhere", "aún deben detener lo que se sustituyó en otro sitio";
    room_has_replica => "have a replica already, and may have one only", "ya tienen una réplica y solo pueden tener una";
    room_kept => "kept free for work that has waited longer", "reservados para trabajo que espera desde antes";
    replica_unkillable(replica, span, processes) => "replica {replica}: stopping, killed {span} ago, still there: {processes}",
        "réplica {replica}: deteniéndose, matada hace {span}, siguen ahí: {processes}";
    last_lines_of(replica, stream) => "last lines of replica {replica} ({stream}):",
        "últimas líneas de la réplica {replica} ({stream}):";
    interrupted_service_goes_on(service) => "interrupted; service {service} goes on as ordered",
        "interrumpido; el servicio {service} sigue según lo ordenado";
    error_service_file_invalid(path) => "the services of {path} cannot be accepted",
        "los servicios de {path} no se pueden aceptar";
    error_env_file(path, line) => "the file of variables {path} cannot be used: {line}",
        "el archivo de variables {path} no se puede usar: {line}";
    error_service_loops(service, replica) => "service {service} fails again and again: replica {replica}",
        "el servicio {service} falla una y otra vez: réplica {replica}";
    error_service_not_started(service, replica) => "service {service} cannot be started: replica {replica}",
        "no se puede arrancar el servicio {service}: réplica {replica}";
    error_service_update_failed(service) => "the update of service {service} failed",
        "falló la actualización del servicio {service}";
    error_service_finished(service, replica) => "service {service} does not run any more: replica {replica} ended",
        "el servicio {service} ya no se ejecuta: terminó la réplica {replica}";
    error_service_wait_timeout(service, span) => "service {service} is not there after {span}",
        "el servicio {service} no está después de {span}";
    hint_service_show(service) => "flota service show {service} says what each replica does",
        "flota service show {service} dice qué hace cada réplica";
}
