"""Traffic for the lab's self test: runs in a namespace, takes one JSON object per line, answers with one.

`echo` measures round trips to another peer's echo port; `listen`, `send` and `heard` count datagrams; `accept`,
`stream` and `received` move bytes over TCP and compare them.
"""

import json
import socket
import struct
import sys
import threading
import time

from relay import hurry

ECHO_PORT = 7
# Larger than the system grants others; the lab runs as root.
SO_RCVBUFFORCE = 33
BLOCK = bytes(range(256)) * 256


class Traffic:
    def __init__(self, address):
        self.address = address
        self.echo_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.echo_socket.bind((address, ECHO_PORT))
        threading.Thread(target=self.answer, daemon=True).start()
        self.numbers, self.result = [], None

    def answer(self):
        while True:
            data, sender = self.echo_socket.recvfrom(2048)
            self.echo_socket.sendto(data, sender)

    def echo(self, to, count):
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.settimeout(1)
        times = []
        for n in range(count):
            began = time.monotonic()
            asking.sendto(struct.pack(">I", n), (to, ECHO_PORT))
            try:
                while struct.unpack(">I", asking.recv(64))[0] != n:
                    pass
                times.append(time.monotonic() - began)
            except TimeoutError:
                pass
        return {"times": times}

    def listen(self):
        heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        heard.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        heard.bind((self.address, 0))
        self.numbers = numbers = []

        def gather():
            while numbers is self.numbers:
                numbers.append(struct.unpack(">I", heard.recv(64))[0])

        threading.Thread(target=gather, daemon=True).start()
        return {"port": heard.getsockname()[1]}

    def send(self, to, port, count):
        sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for n in range(count):
            sending.sendto(struct.pack(">I", n), (to, port))
            if n % 20 == 19:
                time.sleep(0.002)
        return {"sent": count}

    def heard(self):
        numbers = list(self.numbers)
        late = sum(b < a for a, b in zip(numbers, numbers[1:]))
        return {"all": len(numbers), "different": len(set(numbers)), "late": late}

    def accept(self):
        server = socket.socket()
        server.bind((self.address, 0))
        server.listen()

        def take():
            connection, _ = server.accept()
            began, count, right = time.monotonic(), 0, True
            while data := connection.recv(len(BLOCK)):
                at = count % 256
                right = right and data == (BLOCK + BLOCK)[at : at + len(data)]
                count += len(data)
            self.result = {"bytes": count, "seconds": time.monotonic() - began, "right": right}

        self.taking = threading.Thread(target=take, daemon=True)
        self.taking.start()
        return {"port": server.getsockname()[1]}

    def stream(self, to, port, bytes):
        with socket.create_connection((to, port), timeout=30) as connection:
            for _ in range(bytes // len(BLOCK)):
                connection.sendall(BLOCK)
        return {"sent": bytes}

    def received(self):
        self.taking.join(60)
        return self.result


def main():
    hurry()
    traffic = Traffic(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(getattr(traffic, request.pop("do"))(**request)), flush=True)


if __name__ == "__main__":
    main()
