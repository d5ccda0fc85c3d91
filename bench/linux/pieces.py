# SPDX-License-Identifier: MIT
"""What Python programs do, in small: run in the guest by apps.sh. Prints results, no times."""
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading


def numbers(n):
    x, v = 0.0, 1.0
    for _ in range(n * 2000):
        v -= x * 0.001
        x += v * 0.001
    return f"{x:.6f}"


def objects(n):
    class Node:
        def __init__(self, value):
            self.value, self.next = value, None
    head = None
    for i in range(n * 500):
        node = Node(i)
        node.next, head = head, node
    total = 0
    while head:
        total, head = total + head.value, head.next
    return total


def dictionaries(n):
    words = {}
    for i in range(n * 500):
        word = f"w{i * 7919 % 1009}"
        words[word] = words.get(word, 0) + i
    return max(words.items(), key=lambda item: item[1])


def texts(n):
    data = [{"id": i, "name": f"name {i}", "tags": ["a", "b", str(i)]} for i in range(n * 50)]
    text = json.dumps(data)
    assert json.loads(text) == data
    return len(re.findall(r'"name (\d*7)"', text)), hashlib.sha256(text.encode()).hexdigest()


def files(n):
    with tempfile.TemporaryDirectory() as folder:
        for i in range(n * 5):
            with open(os.path.join(folder, f"f{i}"), "w") as f:
                f.write("x" * i)
        return sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))


def threads(n):
    total, lock = [0], threading.Lock()

    def work():
        for _ in range(n * 20):
            with lock:
                total[0] += 1
    some = [threading.Thread(target=work) for _ in range(8)]
    for one in some:
        one.start()
    for one in some:
        one.join()
    return total[0]


def children(n):
    return [subprocess.run(["/bin/echo", str(i)], stdout=subprocess.PIPE,
                           check=True).stdout.decode().strip() for i in range(n // 4)]


for piece in (numbers, objects, dictionaries, texts, files, threads, children):
    print(piece.__name__, piece(int(sys.argv[1])))
