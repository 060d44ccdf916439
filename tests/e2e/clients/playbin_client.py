"""Plays a URL with GStreamer's playbin or playbin3 and prints what was shown and heard as one JSON object.

    playbin_client.py playbin|playbin3 URL SECONDS
"""

import os
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

from pixel_clock import HEIGHT, WIDTH, Seen  # noqa: E402

PICTURE = f"videoconvert ! videoscale method=nearest-neighbour ! video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT} ! appsink name=picture emit-signals=true sync=true max-buffers=4"


def main():
    kind, url, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    Gst.init(None)
    seen = Seen()
    player = Gst.ElementFactory.make(kind)
    sink = Gst.parse_bin_from_description(PICTURE, True)
    player.set_property("uri", url)
    player.set_property("video-sink", sink)
    player.set_property("audio-filter", Gst.parse_bin_from_description("level interval=100000000", True))
    quiet = Gst.ElementFactory.make("fakesink")
    quiet.set_property("sync", True)
    player.set_property("audio-sink", quiet)
    loop = GLib.MainLoop()

    def on_picture(appsink):
        buffer = appsink.emit("pull-sample").get_buffer()
        seen.picture(buffer.extract_dup(0, buffer.get_size()))
        return Gst.FlowReturn.OK

    def on_message(_, message):
        structure = message.get_structure()
        if message.type == Gst.MessageType.ERROR:
            error, details = message.parse_error()
            seen.errors.append(f"{error.message} {details}")
            loop.quit()
        elif message.type == Gst.MessageType.EOS:
            seen.errors.append("the stream ended")
            loop.quit()
        elif message.type == Gst.MessageType.BUFFERING:
            # What every player of GStreamer's does: waits while too little is there.
            player.set_state(Gst.State.PLAYING if message.parse_buffering() == 100 else Gst.State.PAUSED)
        elif message.type == Gst.MessageType.ELEMENT and structure.get_name() == "level":
            seen.sound([10 ** (level / 20) for level in structure.get_value("rms")])

    sink.get_by_name("picture").connect("new-sample", on_picture)
    bus = player.get_bus()
    bus.add_signal_watch()
    bus.connect("message", on_message)
    seen.asked = time.time()
    player.set_state(Gst.State.PLAYING)
    GLib.timeout_add(int(seconds * 1000), loop.quit)
    loop.run()
    seen.tell()
    # Stopping waits for whatever hangs.
    os._exit(0)


main()
