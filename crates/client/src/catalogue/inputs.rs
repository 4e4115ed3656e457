//! Texts about what differs between the tasks of a job.

use super::texts;

texts! { INPUTS:
    value_sweep => "NAME=VALUE,…", "NOMBRE=VALOR,…";
    help_sweep => "One task for each value, and with several of them, and lists behind `:::`, for each combination; {{NAME}} is the value",
        "Una tarea por cada valor; con varias, y con listas tras `:::`, por cada combinación; {{NAME}} es el valor";
    help_each_line => "One task for each line of the file (- for standard input); {{line}} is the line",
        "Una tarea por cada línea del archivo (- para la entrada estándar); {{line}} es la línea";
    help_csv => "One task for each row of a CSV file (-); its header names the columns, and {{NAME}} is the value",
        "Una tarea por cada fila de un archivo CSV (-); su cabecera nombra las columnas, y {{NAME}} es el valor";
    help_json_lines => "One task for each line of a file (-), which is a JSON object; {{NAME}} is the value of that name",
        "Una tarea por cada línea de un archivo (-), que es un objeto JSON; {{NAME}} es el valor de ese nombre";
    error_input_invalid(path) => "{path} gives no tasks", "{path} no da tareas";
    error_input_changed(path) => "{path} changed while it was read", "{path} cambió mientras se leía";
    hint_input_changed => "nothing was submitted; try again when nobody writes to it",
        "no se envió nada; pruebe otra vez cuando nadie escriba en él";
    hint_input_too_long => "write what differs as a sweep (--sweep NAME=a,b,c), or submit several jobs",
        "escriba lo que cambia como barrido (--sweep NOMBRE=a,b,c), o envíe varios trabajos";
    error_sweep_with_file => "--sweep and `:::` cannot be used with --each-line, --csv or --json-lines",
        "--sweep y `:::` no se pueden usar con --each-line, --csv o --json-lines";
    error_script_line(path, line) => "{path}: the options in line {line} are wrong",
        "{path}: las opciones de la línea {line} no son correctas";
    error_script_option(path) => "{path} carries options that a script cannot have: a program, --file, --kernel, --template or --idempotency-key",
        "{path} lleva opciones que un script no puede tener: un programa, --file, --kernel, --template o --idempotency-key";
    about_watch => "Watches files on the server: each new line becomes a task, once",
        "Vigila archivos del servidor: cada línea nueva se vuelve una tarea, una sola vez";
    about_watch_add => "Watches a file or folder; behind `--` is the program of each line",
        "Vigila un archivo o una carpeta; tras `--` va el programa de cada línea";
    about_watch_ls => "Lists what is watched", "Lista lo que se vigila";
    about_watch_show => "Shows what is watched at a path, with the lines that were wrong",
        "Muestra lo que se vigila en una ruta, con las líneas incorrectas";
    about_watch_rm => "Watches a file no more, and forgets which of its lines were taken",
        "Deja de vigilar un archivo, y olvida qué líneas suyas se tomaron";
    help_watch_path => "A file or folder of the server, relative to the folder `jobs` of its data",
        "Un archivo o una carpeta del servidor, relativa a la carpeta `jobs` de sus datos";
    help_watch_format => "How lines are written: lines (the default, {{line}}), csv, json-lines or hpc (algorithm,width,height,iterations,priority)",
        "Cómo se escriben las líneas: lines (lo usual, {{line}}), csv, json-lines o hpc (algoritmo,width,height,iteraciones,prioridad)";
    header_format => "FORMAT", "FORMATO";
    header_bad_lines => "BAD LINES", "LÍNEAS MALAS";
    header_problem => "PROBLEM", "PROBLEMA";
    no_watches_yet => "nothing is watched; try: flota watch add urls.txt -- wget {{line}}",
        "no se vigila nada; pruebe: flota watch add urls.txt -- wget {{line}}";
    watch_fault(place, reason) => "line {place}: {reason}", "línea {place}: {reason}";
    watch_removed(path) => "{path} is not watched any more", "{path} ya no se vigila";
    in_script(path) => "in a line #FLOTA of {path}", "en una línea #FLOTA de {path}";
}
