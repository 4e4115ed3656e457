//! Texts of the binary as server, agent and `dev`.

use super::texts;

texts! { HOST:
    error_settings_invalid => "the settings are wrong", "los ajustes no son correctos";
    fault_unknown_key(place, key) => "{place}: unknown key `{key}`", "{place}: clave desconocida `{key}`";
    fault_unknown_key_near(place, key, near) => "{place}: unknown key `{key}`; did you mean `{near}`?",
        "{place}: clave desconocida `{key}`; ¿quiso decir `{near}`?";
    fault_invalid_value(place, key, value, why) => "{place}: `{value}` is not a value for `{key}`: {why}",
        "{place}: `{value}` no es un valor para `{key}`: {why}";
    fault_not_toml(place, why) => "{place}: not TOML: {why}", "{place}: no es TOML: {why}";
    place_file(path, line) => "{path}, line {line}", "{path}, línea {line}";
    place_environment(name) => "environment variable {name}", "variable de entorno {name}";
    place_flag(name) => "option {name}", "opción {name}";
    why_no_cgroup => "use auto, off, or the path of a control group such as /flota.slice",
        "use auto, off o la ruta de un grupo de control como /flota.slice";
    why_one_of(words) => "use one of: {words}", "use uno de: {words}";
    why_not_a_name => "a name has 1 to 63 letters, digits, `.`, `_` or `-`, and starts with a letter or digit",
        "un nombre tiene de 1 a 63 letras, cifras, `.`, `_` o `-`, y empieza por letra o cifra";
    why_not_a_label => "at most 64 labels, each with a name as nodes have, and a value of at most 63 bytes",
        "como mucho 64 etiquetas, cada una con un nombre como el de los nodos y un valor de 63 bytes como mucho";
    why_empty => "it is empty", "está vacío";
    why_not_a_log_filter => "write a level (error, warn, info, debug, trace) or TARGET=LEVEL, separated by commas",
        "escriba un nivel (error, warn, info, debug, trace) u OBJETIVO=NIVEL, separados por comas";
    why_not_a_text => "write a text, a number, or true or false", "escriba un texto, un número, o true o false";
    why_not_labels => "write a table of texts: labels = {{ gpu = \"yes\" }}",
        "escriba una tabla de textos: labels = {{ gpu = \"yes\" }}";

    server_ready => "Flota server is ready", "El servidor de Flota está listo";
    server_data(folder) => "  data      {folder}", "  datos       {folder}";
    server_listens(address) => "  listens   {address}", "  escucha     {address}";
    server_exposed_here => "  exposed   to programs of this machine only", "  expuesto    solo a programas de esta máquina";
    server_token(path) => "  token     {path}", "  token       {path}";
    server_login(url) => "  log in    {url}", "  entrar      {url}";
    server_next(agent) => "next:\n  flota node ls\n  {agent}\n  flota submit --wait -- echo hello",
        "siguiente:\n  flota node ls\n  {agent}\n  flota submit --wait -- echo hola";
    server_stopped => "Flota server stopped", "El servidor de Flota se detuvo";
    error_server_failed => "the server failed", "el servidor falló";
    error_agent_failed => "the agent failed", "el agente falló";
    error_port_in_use(address) => "{address} is in use by another program", "otro programa usa {address}";
    hint_port_in_use => "give another one with --listen; port 0 picks a free one",
        "dé otra con --listen; el puerto 0 elige una libre";
    hint_line_port => "give another one with --line-listen, or stop the other program",
        "dé otra con --line-listen, o pare el otro programa";
    former_name(former, now) => "{former} has no effect any more: the setting is called {now} now",
        "{former} ya no tiene efecto: el ajuste se llama ahora {now}";
    dev_compat(lines) => "  clients   {lines}", "  clientes    {lines}";
    dev_compat_missing(names) => "  not in this version: {names}", "  no está en esta versión: {names}";
    error_folder_held(folder) => "the data folder {folder} is in use", "la carpeta de datos {folder} está en uso";
    hint_folder_held => "stop that process, or give another folder with --data",
        "pare ese proceso, o dé otra carpeta con --data";
    hint_not_loopback => "this version has no TLS: listen on 127.0.0.1 and reach it through an SSH tunnel",
        "esta versión no tiene TLS: escuche en 127.0.0.1 y llegue por un túnel SSH";
    error_folder_unusable(folder) => "the data folder {folder} cannot be used", "no se puede usar la carpeta de datos {folder}";
    error_no_home => "there is no place for the data folder", "no hay sitio para la carpeta de datos";
    hint_no_home => "set HOME or XDG_STATE_HOME, or give --data", "defina HOME o XDG_STATE_HOME, o dé --data";

    agent_starting(name, server) => "Flota agent {name} works for {server}", "El agente {name} de Flota trabaja para {server}";
    agent_stop_hint(folder) => "  Ctrl-C detaches: programs go on; to end them: flota agent stop --all --data {folder}",
        "  Ctrl-C separa: los programas siguen; para terminarlos: flota agent stop --all --data {folder}";
    agent_detached(running, folder) => "detached: {running} programs go on; end them with: flota agent stop --all --data {folder}",
        "separado: siguen {running} programas; para terminarlos: flota agent stop --all --data {folder}";
    agent_stopped_all => "everything is stopped", "todo está parado";
    agent_stopped_none => "nothing was running", "no había nada en marcha";
    error_stop_needs_all => "say --all: every program of this machine's agent ends",
        "diga --all: se terminan todos los programas del agente de esta máquina";

    dev_starting(count) => "starting a server and {count} agents…", "arrancando un servidor y {count} agentes…";
    dev_ready(url) => "Flota is ready: {url}", "Flota está lista: {url}";
    dev_ready_nodes(up, count, folder) => "  nodes     {up} of {count} up\n  data      {folder}",
        "  nodos       {up} de {count} en marcha\n  datos       {folder}";
    dev_next => "next, in another terminal:\n  flota node ls\n  flota submit --array 1-5 --wait -- echo hello {{index}}\n  flota job logs last\nCtrl-C ends everything",
        "siguiente, en otra terminal:\n  flota node ls\n  flota submit --array 1-5 --wait -- echo hola {{index}}\n  flota job logs last\nCtrl-C lo termina todo";
    data_to_export(folder) => "  first     export FLOTA_DATA={folder}   # so that commands find it",
        "  antes       export FLOTA_DATA={folder}   # para que las órdenes lo encuentren";
    dev_stopping => "stopping programs, agents and server…", "parando programas, agentes y servidor…";
    dev_stopped => "all stopped", "todo parado";
    error_dev_running(url, pid) => "already running at {url}, pid {pid}", "ya está en marcha en {url}, pid {pid}";
    hint_dev_running(pid) => "use it, or stop it with: kill {pid}", "úselo, o párelo con: kill {pid}";
    error_dev_child_ended(name, status) => "{name} ended by itself: {status}", "{name} terminó por su cuenta: {status}";
    error_dev_start(name) => "{name} cannot be started", "no se puede arrancar {name}";
    error_dev_not_ready(span) => "the server was not ready within {span}", "el servidor no estuvo listo en {span}";
    bench_running(name) => "measuring {name}…", "midiendo {name}…";
    bench_debug => "warning: this is a build for tests; its figures say nothing",
        "aviso: esta compilación es para pruebas; sus cifras no dicen nada";
    error_bench_memory(folder) => "{folder} is in memory, not on a disk",
        "{folder} está en memoria, no en un disco";
    hint_bench_memory => "give a folder on a disk with --data", "dé una carpeta en un disco con --data";
    error_bench_stuck(name) => "the measurement {name} does not get on", "la medición {name} no avanza";
    error_bench_wrong(name) => "the results of the measurement {name} are wrong",
        "los resultados de la medición {name} son incorrectos";
    error_bench_part(part) => "the measurement cannot be made: {part} failed",
        "no se puede hacer la medición: falló {part}";
    error_agent_refused => "the server does not take this agent", "el servidor no acepta este agente";
    hint_agent_refused => "give another --name, or stop the other agent", "dé otro --name, o pare el otro agente";
    error_agent_server(server) => "an agent cannot reach {server}", "un agente no puede llegar a {server}";
    hint_agent_server => "write http://HOST:PORT; this version has no TLS, so it must be an address of this machine (an SSH tunnel, for instance)",
        "escriba http://HOST:PUERTO; esta versión no tiene TLS, así que debe ser una dirección de esta máquina (por ejemplo un túnel SSH)";
    error_stop_failed => "not everything could be stopped", "no se pudo parar todo";
    error_dev_left(count) => "{count} processes could not be stopped", "{count} procesos no se pudieron parar";

    error_bug(place) => "flota has a bug at {place}", "flota tiene un error de programación en {place}";
    hint_bug => "please report this text and what you did; running jobs are not affected",
        "por favor, comunique este texto y lo que hizo; los trabajos en marcha no se ven afectados";
    error_runtime => "the program cannot be set up", "no se puede preparar el programa";
}
