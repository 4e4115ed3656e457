//! Texts of `flota doctor`: what is found, and what to do about it.

use super::texts;

texts! { DOCTOR:
    header_check => "CHECK", "COMPRUEBA";
    header_result => "RESULT", "RESULTADO";
    header_found => "FOUND", "ENCONTRADO";
    header_hint => "HINT", "CONSEJO";

    doctor_settings_none => "no settings file", "sin archivo de ajustes";
    doctor_folder(path) => "{path} can be written", "se puede escribir en {path}";
    doctor_folder_bad(path, why) => "{path} cannot be used: {why}", "no se puede usar {path}: {why}";
    doctor_folder_hint => "give a folder of yours with --data", "dé una carpeta suya con --data";
    doctor_file_system(kind, place) => "{kind}, mounted on {place}", "{kind}, montado en {place}";
    doctor_in_memory_hint => "what is in memory is gone after a reboot; give a folder on a disk with --data",
        "lo que está en memoria se pierde al reiniciar; dé una carpeta en un disco con --data";
    doctor_network_hint => "locks and syncs of network file systems are not to be relied on; give a folder on a local disk with --data",
        "no se puede confiar en los bloqueos y la escritura de sistemas de archivos en red; dé una carpeta en un disco local con --data";
    doctor_space(free, total) => "{free} free of {total}", "{free} libres de {total}";
    doctor_space_hint(required) => "submissions are refused below {required}: free some space",
        "por debajo de {required} se rechazan envíos: libere espacio";
    doctor_sync(median, worst) => "a synced write takes {median} ms, at worst {worst} ms",
        "una escritura segura tarda {median} ms, la peor {worst} ms";
    doctor_sync_bad(why) => "a synced write fails: {why}", "una escritura segura falla: {why}";
    doctor_sync_bad_hint => "this disk cannot keep what it is given: use another one",
        "este disco no puede guardar lo que recibe: use otro";
    doctor_sync_slow_hint => "every accepted command waits for one; a local SSD takes less than 5 ms",
        "cada orden aceptada espera una; un SSD local tarda menos de 5 ms";
    doctor_unnamed => "files without a name can be made", "se pueden crear archivos sin nombre";
    doctor_unnamed_bad(why) => "files without a name cannot be made: {why}", "no se pueden crear archivos sin nombre: {why}";
    doctor_unnamed_hint => "outputs of programs get names at once; those of a killed keeper may be left over",
        "las salidas reciben nombre de inmediato; pueden sobrar las de un guardián muerto";
    doctor_port_free(address) => "{address} is free", "{address} está libre";
    doctor_port_ours(address, holder) => "the server of this folder has {address}: {holder}",
        "el servidor de esta carpeta tiene {address}: {holder}";
    doctor_port_taken(address, holder) => "{address} is taken by {holder}", "{address} lo tiene {holder}";
    doctor_port_taken_by_unknown => "a process of another user", "un proceso de otro usuario";
    doctor_port_bad(address, why) => "{address} cannot be listened on: {why}", "no se puede escuchar en {address}: {why}";
    doctor_port_exposed(address) => "{address} can be reached from other machines",
        "a {address} se llega desde otras máquinas";
    doctor_clock(now, source) => "{now}, source {source}", "{now}, fuente {source}";
    doctor_clock_behind_hint => "it is earlier than this program was built: times shown will be wrong, decisions do not use it",
        "es anterior a la compilación de este programa: las horas mostradas serán falsas, las decisiones no lo usan";
    doctor_clock_slow_hint => "reading this source is slow; tsc or kvm-clock is usual",
        "leer esta fuente es lento; lo usual es tsc o kvm-clock";
    doctor_unknown => "unknown", "desconocido";
    doctor_kernel(release) => "Linux {release}", "Linux, versión {release}";
    doctor_kernel_hint => "Linux 5.10 or newer is needed", "hace falta Linux 5.10 o más nuevo";
    doctor_pidfd_full => "processes have a handle, and an identity that is never given again",
        "los procesos tienen descriptor y una identidad que nunca se repite";
    doctor_pidfd => "processes have a handle, but no identity beyond it",
        "los procesos tienen descriptor, pero ninguna identidad más allá de él";
    doctor_pidfd_hint => "before Linux 6.9 a program whose keeper was killed is unknown and never signalled",
        "antes de Linux 6.9 un programa cuyo guardián murió es desconocido y nunca recibe señales";
    doctor_pidfd_none(why) => "processes have no handle: {why}", "los procesos no tienen descriptor: {why}";
    doctor_pidfd_none_hint => "a sandbox forbids pidfd_open: allow it", "un entorno aislado prohíbe pidfd_open: permítalo";
    doctor_subreaper => "orphans can be taken over", "se pueden adoptar huérfanos";
    doctor_subreaper_bad(why) => "orphans cannot be taken over: {why}", "no se pueden adoptar huérfanos: {why}";
    doctor_subreaper_hint => "a sandbox forbids PR_SET_CHILD_SUBREAPER: allow it",
        "un entorno aislado prohíbe PR_SET_CHILD_SUBREAPER: permítalo";
    doctor_cgroup(mode, limits) => "{mode}; enforced: {limits}", "{mode}; se imponen: {limits}";
    doctor_cgroup_missing(mode, limits, missing) => "{mode}; enforced: {limits}; not enforced: {missing}",
        "{mode}; se imponen: {limits}; no se imponen: {missing}";
    doctor_cgroup_closed(path) => "none: {path} cannot be written", "ninguno: no se puede escribir en {path}";
    doctor_cgroup_closed_hint => "programs are held together by sessions, and get no limits of memory and cores; run the agent as root, or as a service with Delegate=yes",
        "los programas se agrupan por sesiones y sin límites de memoria ni núcleos; ejecute el agente como root, o como servicio con Delegate=yes";
    doctor_cgroup_missing_hint => "the kernel does not give these controllers here; with systemd, Delegate=yes hands them on",
        "el núcleo no da aquí esos controladores; con systemd, Delegate=yes los pasa";
    doctor_cgroup_off => "off, as it is set", "desactivados, según los ajustes";
    doctor_cgroup_off_hint => "programs get no limits of memory and cores; leave out the setting cgroup to use groups",
        "los programas no reciben límites de memoria ni núcleos; quite el ajuste cgroup para usar grupos";
    doctor_cgroup_none => "none", "ninguno";
    doctor_cgroup_none_hint => "programs can be held to no limits of memory and cores; mount cgroup2 on /sys/fs/cgroup",
        "no se puede limitar memoria ni núcleos de los programas; monte cgroup2 en /sys/fs/cgroup";
    doctor_limit(usual, most) => "{usual}, up to {most}", "{usual}, hasta {most}";
    doctor_no_limit => "unlimited", "sin límite";
    doctor_open_files_hint => "each agent and each program takes some; raise the hard limit (LimitNOFILE of systemd, ulimit -Hn)",
        "cada agente y cada programa ocupa algunos; suba el límite duro (LimitNOFILE de systemd, ulimit -Hn)";
    doctor_processes_hint => "each program is at least one; raise the hard limit (LimitNPROC of systemd, ulimit -Hu)",
        "cada programa es al menos uno; suba el límite duro (LimitNPROC de systemd, ulimit -Hu)";
    doctor_server(endpoint, up, count) => "{endpoint} answers; {up} of {count} nodes up", "{endpoint} responde; {up} de {count} nodos en marcha";
    doctor_server_none(what) => "{what}", "por ahora: {what}";
    doctor_server_none_hint => "start one: flota server, or flota dev", "arranque uno: flota server, o flota dev";
    doctor_server_frozen_hint => "its store is older than the fleet and nothing is placed: flota fleet recover",
        "su almacén es más antiguo que la flota y no se asigna nada: flota fleet recover";
    doctor_version(ours, theirs) => "this program {ours}, server {theirs}", "este programa {ours}, servidor {theirs}";
    doctor_version_alone(ours) => "this program {ours}", "este programa: {ours}";
    doctor_version_hint => "use the same version on both sides", "use la misma versión en ambos lados";
}
