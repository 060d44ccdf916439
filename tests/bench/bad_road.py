"""A bad road from this host to itself: what is sent to 198.19.0.2 comes back, late and not all of it, to whoever listens on 198.19.0.1.

    bad_road.py ROUND_TRIP_MS LOSS [SEED]

It reads packets from a TUN device and writes them back with source and destination exchanged, so that both ends of a connection are on
this host (checksums are sums: they stay right). Each way takes half of the round trip and loses `LOSS` (0 to 1) of all packets. Says
"road ready" and ends on SIGTERM. Run it in a network namespace of its own.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
MTU = 1500


def main():
    delay, loss = float(sys.argv[1]) / 2000, float(sys.argv[2])
    dice = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"badroad", IFF_TUN | IFF_NO_PI))
    for command in ("address add 198.19.0.1/30 dev badroad", f"link set badroad mtu {MTU} up"):
        subprocess.run(["ip", *command.split()], check=True)
    print("road ready", flush=True)
    waiting, number = [], 0
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([tun], [], [], timeout)[0]:
            packet = os.read(tun, MTU)
            # IPv4 alone; whatever else the kernel says to a new device is nobody's.
            if packet[0] >> 4 == 4 and dice.random() >= loss:
                number += 1
                turned = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
                heapq.heappush(waiting, (time.monotonic() + delay, number, turned))
        while waiting and waiting[0][0] <= time.monotonic():
            os.write(tun, heapq.heappop(waiting)[2])


main()
