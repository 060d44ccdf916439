"""GStreamer's whepsrc as a viewer of H.264 and Opus. Prints one JSON object: what was decoded.

    whepsrc_client.py URL SECONDS
"""

import json
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

PIPELINE = """
whepsrc name=whep whep-endpoint={url}
  video-caps="application/x-rtp,media=video,payload=103,encoding-name=H264,clock-rate=90000"
  audio-caps="application/x-rtp,media=audio,payload=96,encoding-name=OPUS,clock-rate=48000"
whep. ! application/x-rtp,media=video ! rtph264depay ! avdec_h264 ! videoconvert ! videoscale
  ! video/x-raw,format=GRAY8,width=32,height=18 ! appsink name=picture emit-signals=true sync=false
whep. ! application/x-rtp,media=audio ! rtpopusdepay ! opusdec ! audioconvert ! level interval=100000000 ! fakesink sync=false
"""


def main():
    url, seconds = sys.argv[1], float(sys.argv[2])
    Gst.init(None)
    pipeline = Gst.parse_launch(PIPELINE.format(url=url))
    seen = {"first_ms": None, "frames": 0, "loud": 0, "errors": []}
    pictures = set()
    asked = time.monotonic()
    loop = GLib.MainLoop()

    def on_picture(sink):
        buffer = sink.emit("pull-sample").get_buffer()
        seen["first_ms"] = seen["first_ms"] or round((time.monotonic() - asked) * 1000)
        seen["frames"] += 1
        pictures.add(buffer.extract_dup(0, buffer.get_size()))
        return Gst.FlowReturn.OK

    def on_message(_, message):
        if message.type == Gst.MessageType.ERROR:
            error, details = message.parse_error()
            seen["errors"].append(f"{error.message} {details}")
            loop.quit()
        elif message.type == Gst.MessageType.ELEMENT and message.get_structure().get_name() == "level":
            seen["loud"] += message.get_structure().get_value("rms")[0] > -40

    pipeline.get_by_name("picture").connect("new-sample", on_picture)
    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message", on_message)
    pipeline.set_state(Gst.State.PLAYING)
    GLib.timeout_add(int(seconds * 1000), loop.quit)
    loop.run()
    pipeline.set_state(Gst.State.NULL)
    print(json.dumps({**seen, "distinct": len(pictures)}))


main()
