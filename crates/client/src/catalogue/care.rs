//! Texts of the commands that look after an installation: `doctor`, `backup`, `restore`, `completion`.

use super::texts;

texts! { CARE:
    about_backup => "Copies the store of this machine's server, which may go on working",
        "Copia el almacén del servidor de esta máquina, que puede seguir trabajando";
    about_restore => "Makes a copy the store of this machine's server, which must not be running",
        "Convierte una copia en el almacén del servidor de esta máquina, que no debe estar en marcha";
    about_doctor => "Checks what Flota needs on this machine; exits with 0, 1 (something to look at) or 2 (something fails)",
        "Comprueba lo que Flota necesita en esta máquina; sale con 0, 1 (algo que mirar) o 2 (algo falla)";
    about_completion => "Prints the completion of commands for a shell",
        "Muestra el autocompletado de órdenes para un intérprete";
    help_backup_file => "The new file; it must not exist", "El archivo nuevo; no debe existir";
    help_restore_file => "A file that `flota backup` made", "Un archivo hecho por `flota backup`";
    help_restore_force => "Replace the store that is there; it is kept under another name",
        "Reemplaza el almacén que haya; se conserva con otro nombre";
    help_shell => "bash, zsh or fish", "bash, zsh o fish";
    value_shell => "SHELL", "INTÉRPRETE";

    backed_up(file, size) => "store copied to {file} ({size})", "almacén copiado a {file} ({size})";
    backed_up_next => "  it holds jobs, results up to 16 KiB and nodes; longer outputs stay on the nodes\n  to put it back: flota restore FILE",
        "  contiene trabajos, resultados de hasta 16 KiB y nodos; las salidas más largas quedan en los nodos\n  para reponerlo: flota restore ARCHIVO";
    restored(folder) => "the copy is now the store in {folder}", "la copia es ahora el almacén de {folder}";
    restored_aside(file) => "  the store that was there is now {file}", "  el almacén que había es ahora {file}";
    restored_next => "next:\n  flota server           # holds still: nothing is placed and nothing is stopped yet\n  flota fleet show       # what the copy knows\n  flota fleet recover    # go on: what ran since the copy was made is stopped, and its tasks run again",
        "siguiente:\n  flota server           # se queda quieto: aún no se asigna ni se para nada\n  flota fleet show       # lo que sabe la copia\n  flota fleet recover    # seguir: lo arrancado después de la copia se para, y sus tareas se repiten";
    server_restored => "  frozen    this store was put back from a copy: nothing is placed and nothing is stopped\n            until you say: flota fleet recover",
        "  congelado   este almacén se repuso de una copia: no se asigna ni se para nada\n              hasta que diga: flota fleet recover";

    error_store_missing(folder) => "there is no store in {folder}", "no hay almacén en {folder}";
    hint_store_missing => "give the data folder of the server with --data; that of `flota dev` is its subfolder dev",
        "dé la carpeta de datos del servidor con --data; la de `flota dev` es su subcarpeta dev";
    error_store_exists(folder) => "there is a store in {folder} already", "ya hay un almacén en {folder}";
    hint_store_exists => "give another folder with --data, or --force to keep that store under another name",
        "dé otra carpeta con --data, o --force para conservar ese almacén con otro nombre";
    error_store_damaged(file) => "{file} is no whole store of Flota", "{file} no es un almacén de Flota entero";
    hint_store_damaged => "put a backup back: flota restore FILE --force keeps this one under another name",
        "reponga una copia: flota restore ARCHIVO --force conserva este con otro nombre";
    error_store_newer(file) => "{file} was written by a newer version of Flota", "{file} lo escribió una versión más nueva de Flota";
    hint_store_newer => "use that version; nothing was changed", "use esa versión; no se cambió nada";
    error_copy_unwritable(file) => "the copy {file} cannot be written", "no se puede escribir la copia {file}";
    error_copy_exists(file) => "{file} exists already", "{file} ya existe";
    hint_copy_exists => "give the name of a new file; nothing is ever overwritten",
        "dé el nombre de un archivo nuevo; nunca se sobrescribe nada";
    hint_commit => "the disk of the data folder fails or is full: what was acknowledged is there; copy the folder before anything else",
        "el disco de la carpeta de datos falla o está lleno: lo confirmado está ahí; copie la carpeta antes que nada";
}
