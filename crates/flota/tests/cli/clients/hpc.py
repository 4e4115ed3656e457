"""A client of the older cluster, written from its description with nothing but the standard library.

usage: hpc.py MASTER SLAVE MEMORY JOBS_FOLDER
(HOST:PORT of each, and the folder of job files.) Drives every call of master, slave and monitor, with two
foreign slaves of its own, one of which dies in the middle of its work. Ends with 0 if all is as described.
"""

import http.client
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MASTER, SLAVE, MEMORY, JOBS = sys.argv[1:5]
WAIT = 60


def call(address, method, path, body=None):
    host, port = address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    text = None if body is None else json.dumps(body)
    headers = {} if body is None else {"Content-Type": "application/json"}
    connection.request(method, path, text, headers)
    answer = connection.getresponse()
    value = json.loads(answer.read() or b"null")
    connection.close()
    return answer.status, value


def get(address, path):
    status, value = call(address, "GET", path)
    check(status == 200, f"GET {path}: {status} {value}")
    return value


def post(address, path, body=None):
    status, value = call(address, "POST", path, body)
    check(status == 200, f"POST {path}: {status} {value}")
    return value


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def eventually(what, look):
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"never: {what}; {get(MASTER, '/estado')}")


def picture(algorithm="Numpy", width=40, height=30, iterations=20, **more):
    return {"algoritmo": algorithm, "width": width, "height": height, "iteraciones": iterations, **more}


class Foreign:
    """A slave as the older cluster has them. It works when it is let to, and may die at it."""

    def __init__(self, name):
        self.name, self.done, self.taken = name, [], []
        self.is_open = threading.Event()
        slave = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, status, value):
                text = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                busy = len(slave.taken) > len(slave.done)
                self.answer(200, {"status": "active", "timestamp": time.time(), "ocupado": busy,
                                  "trabajo_actual": None, "cpu_percent": 12.5, "memoria_libre": 100.0,
                                  "memoria_total": 200.0, "memoria_usada": 100.0})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if len(slave.taken) > len(slave.done):
                    return self.answer(409, {"error": "ocupado", "trabajo_actual": slave.taken[-1]["id"]})
                slave.taken.append(body)
                self.answer(200, {"status": "accepted", "trabajo_id": body["id"]})
                threading.Thread(target=slave.work, args=(body,), daemon=True).start()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def register(self):
        body = {"esclavo_id": self.name, "ip": "127.0.0.1", "puerto": self.port}
        check(post(MASTER, "/registrar_esclavo", body) == {"status": "registered"}, "registered")

    def work(self, body):
        self.is_open.wait()
        self.done.append(body)
        result = {"esclavo": self.name, "algoritmo": body["algoritmo"],
                  "resolucion": f"{body['width']}x{body['height']}", "iteraciones": body["iteraciones"],
                  "tiempo": 0.1, "trabajo_id": body["id"], "stdout": f"hecho por {self.name}",
                  "stderr": "", "return_code": 0}
        check(post(MASTER, "/resultado", result) == {"status": "received"}, "received")

    def die(self):
        self.server.shutdown()
        self.server.server_close()


def completed():
    return get(MASTER, "/estado")["trabajos_completados"]


def master():
    ping = get(MASTER, "/ping")
    check(ping["status"] == "active" and ping["esclavos_activos"] >= 1, ping)
    check(abs(ping["timestamp"] - time.time()) < 60, ping)
    before = completed()
    for algorithm in ("Secuencial", "Numpy", "juliaCython"):
        added = post(MASTER, "/agregar_trabajo", picture(algorithm, prioridad=1))
        check(added["status"] == "added" and added["trabajo_id"] and added["posicion_cola"] >= 1, added)
    eventually("three pictures are done", lambda: completed() == before + 3)
    for wrong in ({}, picture("Otro"), picture(width=0), picture(prioridad=9), picture(height="x")):
        status, value = call(MASTER, "POST", "/agregar_trabajo", wrong)
        check(400 <= status < 500 and value["error"], (wrong, status, value))
    slaves = get(MASTER, "/esclavos")
    for slave in slaves.values():
        keys = {"ip", "puerto", "activo", "ultimo_ping", "carga_cpu", "memoria_libre"}
        check(set(slave) == keys, slave)
    check(any(f"{one['ip']}:{one['puerto']}" == SLAVE for one in slaves.values()), slaves)
    check(get(MASTER, "/estado")["esclavos"].keys() == slaves.keys(), "the same slaves")


def job_file():
    before = completed()
    with open(os.path.join(JOBS, "trabajos.txt"), "w") as file:
        file.write("algoritmo,width,height,iteraciones,prioridad\n# hoy\nNumpy,30,20,9,1\nmal\nSecuencial,20,20,9\n")
    eventually("the file is seen", lambda: completed() == before + 2)
    check(get(MASTER, "/estado")["trabajos_desde_archivo"] is True, "from the file")
    loaded = post(MASTER, "/cargar_trabajos")
    check(loaded["status"] == "loaded" and loaded["trabajos_cargados"] == 2, loaded)
    check("trabajos_pendientes" in loaded, loaded)
    eventually("the file is done again", lambda: completed() == before + 4)
    for wrong in ("../token", "/etc/passwd", "no.txt"):
        status, value = call(MASTER, "POST", "/cargar_trabajos", {"archivo": wrong})
        check(400 <= status < 500 and value["error"], (wrong, status))


def slave():
    ping = get(SLAVE, "/ping")
    check(ping["status"] == "active" and ping["ocupado"] is False, ping)
    keys = {"status", "timestamp", "ocupado", "trabajo_actual", "cpu_percent", "memoria_libre",
            "memoria_total", "memoria_usada"}
    check(set(ping) == keys, ping)
    accepted = post(SLAVE, "/ejecutar", picture("Secuencial", 2000, 2000, 3000, id="mio"))
    check(accepted == {"status": "accepted", "trabajo_id": "mio"}, accepted)
    status, busy = call(SLAVE, "POST", "/ejecutar", picture(id="otro"))
    check(status == 409 and busy["error"] and busy["trabajo_actual"] == "mio", (status, busy))
    eventually("it is done", lambda: get(SLAVE, "/estado")["ultimo_trabajo"] == "mio")
    state = get(SLAVE, "/estado")
    check(set(state) == (keys - {"status"}) | {"ultimo_trabajo"}, state)
    check(state["ocupado"] is False, state)


def memory():
    check(get(MEMORY, "/ping")["status"] == "active", "ping")
    eventually("something was measured", lambda: call(MEMORY, "GET", "/metricas")[0] == 200)
    metrics = get(MEMORY, "/metricas")
    check(set(metrics) == {"nodo", "timestamp", "cpu", "memoria", "disco", "red"}, metrics)
    check(set(metrics["memoria"]) == {"percent", "total", "disponible", "usada"}, metrics)
    check(set(metrics["disco"]) == {"percent", "total", "libre"}, metrics)
    check(set(metrics["red"]) == {"enviados", "recibidos"}, metrics)
    with open("/proc/meminfo") as file:
        total = int(file.readline().split()[1]) * 1024
    check(metrics["memoria"]["total"] == total, (metrics, total))
    history = get(MEMORY, "/historial")
    check(history and history[-1]["timestamp"] >= history[0]["timestamp"], history)
    alarms = get(MEMORY, "/alertas")
    check(set(alarms) == {"cpu", "memoria", "disco"}, alarms)
    report = {"nodo_memoria": "ajeno", "alertas": {"cpu": True, "memoria": False, "disco": False},
              "metricas_actuales": {"cpu": {"percent": 99.0}}}
    check(post(MASTER, "/reporte_memoria", report) == {"status": "received"}, "received")
    reports = get(MASTER, "/memoria")["reportes"]
    check(reports["ajeno"]["alertas"]["cpu"] is True, reports)
    check(metrics["nodo"] in reports, reports)


def foreign():
    """Two slaves take work; one dies in the middle of it, and all of it is done elsewhere."""
    dying, living = Foreign("ajeno1"), Foreign("ajeno2")
    for one in (dying, living):
        one.register()
    eventually("both are active", lambda: all(
        get(MASTER, "/esclavos").get(one.name, {}).get("activo") for one in (dying, living)))
    shown = get(MASTER, "/esclavos")["ajeno1"]
    check(shown["puerto"] == dying.port and shown["ip"] == "127.0.0.1", shown)
    before = completed()
    count = 0
    end = time.monotonic() + WAIT
    living.is_open.set()
    while not (dying.taken and living.taken) and time.monotonic() < end:
        # More than the agent can do at once, so that some is left for the others.
        for _ in range(8):
            post(MASTER, "/agregar_trabajo", picture("Secuencial", 600, 600 + count, 400))
            count += 1
        time.sleep(0.2)
    check(dying.taken and living.taken, "both were given work")
    check(set(dying.taken[0]) >= {"algoritmo", "width", "height", "iteraciones", "id"}, dying.taken)
    dying.die()
    eventually("it is not active any more", lambda: not get(MASTER, "/esclavos")["ajeno1"]["activo"])
    eventually("all is done elsewhere", lambda: completed() == before + count)
    check(not dying.done, "the dead one did nothing")
    for wrong in ({"esclavo_id": "x", "ip": "10.1.2.3", "puerto": 80}, {"ip": "127.0.0.1"}):
        status, value = call(MASTER, "POST", "/registrar_esclavo", wrong)
        check(400 <= status < 500 and value["error"], (wrong, status))


def clear():
    """What waits is removed, what runs stays."""
    before = completed()
    post(MASTER, "/agregar_trabajo", picture("Secuencial", 3000, 3000, 2000))
    for _ in range(200):
        post(MASTER, "/agregar_trabajo", picture("Secuencial", 1000, 1000, 500, prioridad=3))
    cleared = post(MASTER, "/limpiar_cola")
    check(cleared["status"] == "cleared" and cleared["trabajos_eliminados"] > 0, cleared)
    check(get(MASTER, "/estado")["trabajos_pendientes"] == 0, "nothing waits")
    left = 201 - cleared["trabajos_eliminados"]
    eventually("the rest is done", lambda: completed() == before + left)


for part in (master, job_file, slave, memory, foreign, clear):
    part()
    print("ok", part.__name__)
