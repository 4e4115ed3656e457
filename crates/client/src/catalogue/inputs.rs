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
    in_script(path) => "in a line #FLOTA of {path}", "en una línea #FLOTA de {path}";
}
