"""Plays a URL with an FFmpeg at the pace of the clock and prints what was decoded as one JSON object.

    ffmpeg_client.py PROGRAM URL SECONDS sound|silence
"""

import re
import subprocess
import sys
import tempfile
import threading
import time

from pixel_clock import HEIGHT, WIDTH, Seen

# After each reload of a live playlist it reads the initialisation segment once more, and says so, whoever serves it.
HARMLESS = re.compile(r"Found duplicated MOOV Atom|Last message repeated")


def main():
    program, url, seconds, sound = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4] == "sound"
    picture = ["-map", "0:v:0", "-vf", f"scale={WIDTH}:{HEIGHT}:flags=neighbor,format=gray", "-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"]
    heard = ["-map", "0:a:0", "-af", "astats=measure_overall=none", "-f", "null", "-"] if sound else []
    seen = Seen()
    log = tempfile.TemporaryFile("w+")
    player = subprocess.Popen([program, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info", "-re", "-i", url, *picture, *heard],
                              stdout=subprocess.PIPE, stderr=log)
    # Asked to end it writes down what it heard; killed if it does not.
    polite, rude = threading.Timer(seconds, player.terminate), threading.Timer(seconds + 3, player.kill)
    for timer in (polite, rude):
        timer.start()
    while len(luma := player.stdout.read(WIDTH * HEIGHT)) == WIDTH * HEIGHT:
        seen.picture(luma)
    ended = time.time()
    if polite.is_alive():
        seen.errors.append("it ended by itself")
    player.wait()
    for timer in (polite, rude):
        timer.cancel()
    log.seek(0)
    lines = log.read().splitlines()
    levels = [10 ** (float(found[1]) / 20) for line in lines if (found := re.search(r"RMS level dB: (-?[\d.]+|-inf)", line))]
    if levels:
        seen.sound(levels)
    seen.warnings = [line for line in lines if re.search(r"\[(warning|error|fatal)\]", line) and not HARMLESS.search(line)][:20]
    seen.errors += [line for line in lines if "[fatal]" in line]
    seen.tell(ended)


main()
