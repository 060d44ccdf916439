"""A Python sketch on the message bus, with websocket-client. Prints one JSON object: what it said and what came back.

    bus_client.py URL
"""

import base64
import datetime
import json
import sys

import websocket

PATIENCE_S = 10
KINDS = {websocket.ABNF.OPCODE_TEXT: "text", websocket.ABNF.OPCODE_BINARY: "binary"}


def envelope(kind, value):
    """As sketches make them: always the same id, and a time without a zone."""
    message = {
        "id": "pythonsketchpyth",
        "datetime": datetime.datetime.now().isoformat(),
        "type": kind,
        "channel": "residence",
        "userId": "pythonsketch",
        "userName": "Python ü",
        "value": value,
    }
    return json.dumps(message).encode()


def main(url):
    connection = websocket.create_connection(url, timeout=PATIENCE_S)
    picture = "data:image/jpeg;base64," + base64.b64encode(bytes(range(256)) * 40).decode()
    said = [
        (websocket.ABNF.OPCODE_TEXT, envelope("ANYTHING", 0.25)),
        (websocket.ABNF.OPCODE_TEXT, envelope("ANYTHING", 0.25)),
        (websocket.ABNF.OPCODE_BINARY, envelope("IMAGE", picture)),
        (websocket.ABNF.OPCODE_TEXT, envelope("ANYTHING", [1, {"deep": None}])),
    ]
    for opcode, payload in said:
        connection.send(payload, opcode=opcode)
    heard = [connection.recv_data() for _ in said]
    connection.close()
    show = lambda messages: [[KINDS.get(opcode, opcode), base64.b64encode(payload).decode()] for opcode, payload in messages]
    print(json.dumps({"said": show(said), "heard": show(heard)}))


main(*sys.argv[1:])
