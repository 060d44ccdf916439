"""A show control on OSC, with python-osc. Says what shows say, then prints all that it hears, one JSON array a line.

    osc_client.py VENUE_PORT LISTEN_PORT
"""

import json
import sys
import time

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_server import ThreadingOSCUDPServer
from pythonosc.udp_client import SimpleUDPClient

AHEAD_S = 0.7


def message(address, *args):
    builder = OscMessageBuilder(address)
    for kind, value in args:
        builder.add_arg(value, kind)
    return builder.build()


def bundle(when, *messages):
    builder = OscBundleBuilder(when)
    for one in messages:
        builder.add_content(one)
    return builder.build()


def heard(address, *args):
    print(json.dumps([address, *args]), flush=True)


def say(client):
    """Every type of argument, a pattern, bundles now and later, a position, and what a venue must not take."""
    client.send_message("/proscenium/residence/CUE", [7, 0.5, "go", True, False, None])
    client.send_message("/proscenium/residence/HEART", [])
    client.send_message("/proscenium/residence/fader/1", 0.25)
    typed = message(
        "/proscenium/residence/TYPES",
        ("d", 0.1),
        ("h", 1 << 40),
        ("b", b"\x00\xff"),
        ("r", 0x10203040),
        ("m", (0, 144, 60, 127)),
        ("s", "Grüße"),
    )
    client.send(typed)
    client.send_message("/proscenium/{residence,foyer}/PATTERN", 1)
    client.send_message("/proscenium/residence/position", ["ada", 1.0, 2.0, 3.0, 0.0, 0.5, 0.0])
    client.send_message("/proscenium/residence/RESET", [])
    client.send_message("/proscenium/elsewhere/CUE", 1)
    client._sock.sendto(b"this is not OSC", (client._address, client._port))
    later = bundle(time.time() + AHEAD_S, message("/proscenium/residence/LATER", ("i", 2)))
    client.send(later)
    client.send(bundle(IMMEDIATELY, message("/proscenium/residence/NOW", ("i", 1))))


def main(venue_port, listen_port):
    dispatcher = Dispatcher()
    dispatcher.set_default_handler(heard)
    server = ThreadingOSCUDPServer(("127.0.0.1", listen_port), dispatcher)
    say(SimpleUDPClient("127.0.0.1", venue_port))
    print("said", flush=True)
    server.serve_forever()


main(int(sys.argv[1]), int(sys.argv[2]))
