"""Plays a URL with mpv and prints what it shows, looked at twice a second, as one JSON object.

    mpv_client.py URL SECONDS
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time

from pixel_clock import HEIGHT, WIDTH, Seen

FLAGS = ["--no-config", "--vo=null", "--ao=null", "--msg-level=all=warn", "--screenshot-png-compression=0", "--af=@stats:lavfi=[astats=metadata=1:reset=50]"]
LOOK_S = 0.5


class Remote:
    """What mpv is asked over its socket."""

    def __init__(self, path):
        until = time.monotonic() + 10
        while True:
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
        self.socket.settimeout(10)
        self.file = self.socket.makefile("rw")
        self.count = 0

    def ask(self, *command):
        self.count += 1
        self.file.write(json.dumps({"command": command, "request_id": self.count}) + "\n")
        self.file.flush()
        while line := self.file.readline():
            answer = json.loads(line)
            if answer.get("request_id") == self.count:
                return answer
        return {"error": "mpv has ended"}


def main():
    url, seconds = sys.argv[1], float(sys.argv[2])
    seen = Seen()
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile("w+") as log:
        player = subprocess.Popen(["mpv", *FLAGS, f"--input-ipc-server={directory}/remote", url], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        remote, shots = Remote(f"{directory}/remote"), []
        until = time.time() + seconds
        while time.time() < until and player.poll() is None:
            path, at = f"{directory}/{len(shots):04}.png", time.time()
            if remote.ask("screenshot-to-file", path, "video")["error"] == "success":
                shots.append(at)
            levels = remote.ask("get_property", "af-metadata/stats").get("data") or {}
            rms = [levels[key] for key in sorted(levels) if key.endswith(".RMS_level") and "Overall" not in key]
            if rms:
                seen.sound([10 ** (float(level) / 20) for level in rms])
            time.sleep(max(0, at + LOOK_S - time.time()))
        if player.poll() is not None:
            seen.errors.append(f"it ended by itself with {player.poll()}")
        ended = time.time()
        player.kill()
        player.wait()
        if shots:
            # All at once: a process for each picture would cost more than the playing.
            raw = subprocess.run(["ffmpeg", "-v", "error", "-f", "image2", "-start_number", "0", "-i", f"{directory}/%04d.png", "-vf",
                                  f"scale={WIDTH}:{HEIGHT}:flags=neighbor,format=gray", "-fps_mode", "passthrough", "-f", "rawvideo", "-"], stdout=subprocess.PIPE, check=True).stdout
            for place, at in enumerate(shots):
                seen.picture(raw[place * WIDTH * HEIGHT:][:WIDTH * HEIGHT], at=at)
        log.seek(0)
        seen.warnings = log.read().splitlines()[:20]
    seen.tell(ended)
    os._exit(0)


main()
