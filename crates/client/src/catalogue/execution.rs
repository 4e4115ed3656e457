//! Texts about users, limits and the policies of nodes.

use super::texts;

texts! { EXECUTION:
    heading_execution => "Options of programs", "Opciones de programas";
    value_group => "GROUP", "GRUPO";
    value_mask => "MASK", "MÁSCARA";
    value_class => "CLASS", "CLASE";
    value_limit => "NAME=LIMIT", "NOMBRE=LÍMITE";
    help_program_user => "User of the program on the node, by name or number; otherwise that of the agent",
        "Usuario del programa en el nodo, por nombre o número; si no, el del agente";
    help_program_group => "Its group; otherwise that of the user", "Su grupo; si no, el del usuario";
    help_program_groups => "Further group instead of those of the user; may be repeated",
        "Otro grupo en lugar de los del usuario; se puede repetir";
    help_umask => "Permissions that new files do not get, for instance 027", "Permisos que no reciben los archivos nuevos, por ejemplo 027";
    help_nice => "Priority from -20 (first) to 19", "Prioridad de -20 (primero) a 19";
    help_ioprio => "Order at the disk: idle, best-effort:0 to best-effort:7, realtime:0 to realtime:7",
        "Orden en el disco: idle, best-effort:0 a best-effort:7, realtime:0 a realtime:7";
    help_rlimit => "Limit of each of its processes, for instance nofile=1024, core=0 or nproc=64:128; may be repeated",
        "Límite de cada uno de sus procesos, por ejemplo nofile=1024, core=0 o nproc=64:128; se puede repetir";
    help_oom_score_adj => "From -1000 to 1000; higher is killed earlier when the node has no memory left",
        "De -1000 a 1000; cuanto más alto, antes se mata si el nodo se queda sin memoria";
    help_new_privileges => "Let sudo and other set-user-ID programs work for it",
        "Permite que sudo y otros programas set-user-ID le sirvan";
    help_memory_max => "Most memory of it and all it starts; beyond, it is killed",
        "Memoria máxima de él y de todo lo que arranque; si la supera, se mata";
    help_swap_max => "Most swap beside --memory-max", "Intercambio máximo además de --memory-max";
    help_pids_max => "Most processes and threads of it and all it starts",
        "Máximo de procesos e hilos de él y de todo lo que arranque";
    help_cpu_quota => "Cores that it and all it starts may use at most, for instance 1.5",
        "Núcleos que él y todo lo que arranque pueden usar como máximo, por ejemplo 1.5";
    help_cpu_weight => "Share of the cores against others, 1 to 10000; others have 100",
        "Parte de los núcleos frente a otros, de 1 a 10000; otros tienen 100";
    help_io_weight => "Share of the disk against others, 1 to 10000; others have 100",
        "Parte del disco frente a otros, de 1 a 10000; otros tienen 100";
    help_limits_best_effort => "Start it also where a limit cannot be enforced",
        "Arrancarlo también donde un límite no se puede imponer";
    help_agent_policy => "What may be started and signalled here [FLOTA_POLICY]; otherwise policy.toml beside the settings file",
        "Qué se puede arrancar y señalar aquí [FLOTA_POLICY]; si no, policy.toml junto al archivo de ajustes";
    error_policy => "the policy of this node cannot be used", "la política de este nodo no se puede usar";
    hint_policy => "nothing is started without it: correct the file, or name another one with --policy",
        "sin ella no se arranca nada: corrija el archivo o indique otro con --policy";
    why_not_a_mask => "write octal digits, for instance 022", "escriba dígitos octales, por ejemplo 022";
    why_not_an_io_priority => "write idle, best-effort:4 or realtime:0; levels are 0 to 7",
        "escriba idle, best-effort:4 o realtime:0; los niveles van de 0 a 7";
    why_not_a_limit(known) => "write NAME=NUMBER, NAME=SOFT:HARD or NAME=unlimited; names are {known}",
        "escriba NOMBRE=NÚMERO, NOMBRE=BLANDO:DURO o NOMBRE=unlimited; los nombres son {known}";
    why_policy(rule, code) => "the policy of the node forbids it, rule `{rule}` [{code}]",
        "la política del nodo lo prohíbe, regla `{rule}` [{code}]";
    why_unknown_user(code) => "the node has no such user or group [{code}]",
        "el nodo no tiene ese usuario o grupo [{code}]";
    why_unenforced(code) => "the node cannot enforce its limits; `flota doctor` there says why [{code}]",
        "el nodo no puede imponer sus límites; `flota doctor` allí dice por qué [{code}]";
}
