"""A client of the line protocol, written from its description with nothing but sockets.

usage: line.py POSIX_PORT GESTOR_PORT CLIENTS
Drives every verb of both dialects and ends with 0 if all answers are as described.
"""

import ast
import os
import re
import socket
import sys
import threading
import time

POSIX, GESTOR, CLIENTS = (int(word) for word in sys.argv[1:4])
HOST = "127.0.0.1"
WAIT = 30


def connect(port):
    connection = socket.create_connection((HOST, port), timeout=WAIT)
    connection.settimeout(WAIT)
    return connection


def read_answer(connection, patience=0.2):
    """Everything up to a silence, or to the end of the connection."""
    text = connection.recv(65536)
    connection.settimeout(patience)
    try:
        while text:
            more = connection.recv(65536)
            if not more:
                break
            text += more
    except TimeoutError:
        pass
    finally:
        connection.settimeout(WAIT)
    return text.decode()


def ask(connection, command, end="\n"):
    connection.sendall((command + end).encode())
    return read_answer(connection).rstrip("\n")


def once(port, command, end="\n"):
    with connect(port) as connection:
        return ask(connection, command, end)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(") ", 1)[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid):
    deadline = time.monotonic() + WAIT
    while alive(pid):
        check(time.monotonic() < deadline, f"{pid} goes on")
        time.sleep(0.02)


def started(answer, pattern):
    found = re.fullmatch(pattern, answer)
    check(found, f"not started: {answer!r}")
    return int(found.group(1))


def posix():
    with connect(POSIX) as connection:
        for verb in ["LIST", "listar", "Ps", "procesos"]:
            lines = ask(connection, verb).split("\n")
            check(lines[0] == "    PID COMMAND", lines[0])
            rows = [line.split(None, 1) for line in lines[1:]]
            check(all(len(row) == 2 and row[0].isdigit() for row in rows), rows[:3])
            check(any(int(row[0]) == os.getpid() for row in rows), "the client is not listed")
            check(all(line[:7].strip().isdigit() for line in lines[1:]), "not right-aligned")
        for verb in ["START", "iniciar", "Run"]:
            pid = started(
                ask(connection, f"{verb} sleep 998.5"),
                r"Proceso 'sleep 998.5' iniciado con PID (\d+)",
            )
            check(alive(pid), f"{pid} does not run")
            check(f"{pid:>7} sleep" in ask(connection, "LIST"), "it is not listed")
            answer = ask(connection, f"STOP {pid}")
            check(answer == f"Proceso {pid} detenido exitosamente.", answer)
            gone(pid)
        pid = started(
            ask(connection, "START sleep '997.25'"),
            r"Proceso 'sleep 997.25' iniciado con PID (\d+)",
        )
        check(ask(connection, f"kill {pid}").endswith("detenido exitosamente."), "kill")
        gone(pid)
        for wrong, why in [
            ("STOP", "PID"),
            ("STOP abc", "abc"),
            ("STOP 0", "0"),
            ("STOP -3", "-3"),
            ("STOP 1", "1"),
            ("STOP 4194301", "4194301"),
            ("STOP 2", "2"),
            (f"STOP {pid}", str(pid)),
            ("START", "programa"),
            ("START no-such-program-anywhere", "no-such-program-anywhere"),
            ("START false", "false"),
            ("", "LIST"),
            ("DANCE", "START"),
        ]:
            answer = ask(connection, wrong)
            check(answer.startswith("Error:") and why in answer, f"{wrong!r}: {answer!r}")
        check(re.fullmatch(r"\{'cpu': .*, 'ram': .*\}", ask(connection, "MONITOR")), "monitor")
        check("START" in ask(connection, "HELP"), "help")
        check(ask(connection, "START true").startswith("Proceso 'true' iniciado"), "true")
        check(ask(connection, "EXIT"), "no goodbye")
        check(connection.recv(1) == b"", "it is not closed")


def gestor():
    # One segment without a newline, then one read.
    lines = once(GESTOR, "LISTAR", end="").split("\n")
    check(len(lines) > 3 and all(re.fullmatch(r"\d+ - .+", line) for line in lines), lines[:3])
    deadline = time.monotonic() + WAIT
    while True:
        busy = ast.literal_eval(once(GESTOR, "MONITOREAR", end=""))
        if busy["cpu"] is not None:
            break
        check(time.monotonic() < deadline, "no sample")
        time.sleep(0.1)
    check(0 <= busy["cpu"] <= 100 and 0 < busy["ram"] < 100, busy)
    pid = started(
        once(GESTOR, "INICIAR sleep 996.5", end=""),
        r"Exito: Proceso lanzado con PID (\d+)",
    )
    check(alive(pid), "it does not run")
    answer = once(GESTOR, f"DETENER {pid}", end="")
    check(answer == f"Exito: Proceso {pid} terminado.", answer)
    gone(pid)
    for wrong in ["DETENER", "DETENER x", "DETENER 1", "INICIAR", "BAILAR", "DETENER 4194301"]:
        check(once(GESTOR, wrong, end="").startswith("Error"), wrong)
    check("AYUDA" in once(GESTOR, "AYUDA", end=""), "help")
    # Discovery: open, and close at once.
    for _ in range(20):
        connect(GESTOR).close()


def hostile():
    for text in [b"\xff\xfe\x00\n", b"'\"'\"\n", b"\x00" * 100 + b"\n", b"LIST\x07\n"]:
        with connect(POSIX) as connection:
            connection.sendall(text)
            check(read_answer(connection).startswith("Error:"), text)
    with connect(POSIX) as connection:
        try:
            connection.sendall(b"x" * 70_000)
            answer = read_answer(connection)
            check(answer.startswith("Error:"), answer)
            check(connection.recv(1) == b"", "it is not closed")
        except ConnectionError:
            # Closed with bytes unread: the answer may be lost to that.
            pass
    # A page of a browser must not be able to start a program.
    for request in [b"GET / HTTP/1.1\r\n\r\n", b"POST /START HTTP/1.1\r\n\r\nSTART sleep 995.75\n"]:
        with connect(POSIX) as connection:
            connection.sendall(request)
            try:
                check(connection.recv(100) == b"", request)
            except ConnectionError:
                pass
    check("sleep 995.75" not in "\n".join(command_lines()), "a web page started a program")
    # A client that reads little, and closes early.
    with connect(POSIX) as connection:
        connection.sendall(b"LIST\n")
        connection.recv(1)


def command_lines():
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline") as line:
                    yield line.read().replace("\0", " ").strip()
            except OSError:
                pass


def many():
    silent = [connect(POSIX) for _ in range(50)]
    slow = connect(POSIX)
    slow.sendall(b"LI")
    faults = []

    def one(number):
        try:
            port, end = (POSIX, "\n") if number % 2 else (GESTOR, "")
            with connect(port) as connection:
                if number % 10 == 0:
                    answer = ask(connection, "START sleep 994.5", end)
                    pid = started(answer, r".* con PID (\d+)")
                    answer = ask(connection, f"STOP {pid}", end)
                    check(str(pid) in answer and "Error" not in answer, answer)
                else:
                    check(len(ask(connection, "LIST", end)) > 30, "a short list")
        except BaseException as fault:
            faults.append(f"client {number}: {fault!r}")

    clients = [threading.Thread(target=one, args=(number,)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    check(not faults, f"{len(faults)} of {CLIENTS}: {faults[:3]}")
    for connection in silent + [slow]:
        connection.close()


for part in [posix, gestor, hostile, many]:
    part()
    print(part.__name__, "as described", flush=True)
