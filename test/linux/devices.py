# SPDX-License-Identifier: MIT
"""The host's side of devices.sh: two disks, a web server on the loopback, the power key."""
import hashlib
import http.server
import json
import os
import socket
import tempfile
import threading
import time

MIB = 1 << 20
TYPE, PRESS = b"DEVICES: type a line", b"DEVICES: press the power key"


def pattern(size, seed):
    """Bytes that repeat nowhere near, the same in each run."""
    return b"".join(hashlib.sha256(b"%d %d" % (seed, n)).digest() for n in range(size // 32))


class Web(http.server.BaseHTTPRequestHandler):
    page = pattern(MIB, 2)

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/number/"):
            self.answer(b"number " + self.path[8:].encode())
        else:
            self.answer(self.page)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(hashlib.md5(body).hexdigest().encode())

    def log_message(self, *args):
        pass


class Host:
    """What the machine is given, and what happens around it while it runs."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.disk = os.path.join(self.folder.name, "disk")
        content = pattern(4 * MIB, 1)
        with open(self.disk, "wb") as f:
            f.write(content)
            f.truncate(16 * MIB)
        second = os.path.join(self.folder.name, "second")
        with open(second, "wb") as f:
            f.truncate(16 * MIB)
        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
        threading.Thread(target=self.web.serve_forever, daemon=True).start()
        self.monitor = os.path.join(self.folder.name, "qmp")
        self.machine = {"disks": [self.disk, second],
                        "extra": ["-qmp", f"unix:{self.monitor},server=on,wait=off"]}
        self.append = " ".join((f"devices.port={self.web.server_port}",
                                f"devices.disk={hashlib.md5(content).hexdigest()}",
                                f"devices.page={hashlib.md5(Web.page).hexdigest()}",
                                f"devices.now={int(time.time())}"))
        self.typed = self.pressed = False
        return self

    def __exit__(self, *args):
        self.web.shutdown()
        self.web.server_close()
        self.folder.cleanup()

    def step(self, guest):
        """Called again and again while the guest runs."""
        if not self.typed and TYPE in guest.output:
            self.typed = True
            guest.type(b"a typed line\r")
        if not self.pressed and PRESS in guest.output:
            self.pressed = True
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(self.monitor)
                talk = s.makefile("rw")
                talk.readline()
                for command in ("qmp_capabilities", "system_powerdown"):
                    talk.write(json.dumps({"execute": command}) + "\n")
                    talk.flush()
                    talk.readline()

    def results(self):
        """After the end: [(name, what is wrong or None)]."""
        text = b"".join(b"%d\n" % n for n in range(1, 400001))[:2 * MIB]
        with open(self.disk, "rb") as f:
            f.seek(8 * MIB)
            same = f.read(2 * MIB) == text
        return [("host_sees_what_was_written",
                 None if same else "the disk's file has something else")]
