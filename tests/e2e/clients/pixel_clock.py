"""What the players in Python have in common: the number in a picture, as page/clock.js draws it, and what was seen and heard."""

import json
import time
import zlib

BITS = 16
# The size at which players hand over their pictures, in brightness alone: four pixels for each bit.
WIDTH, HEIGHT = 64, 36


def number(luma, width=WIDTH, height=HEIGHT):
    """The number in the two rows of blocks in the top two ninths of a picture, or None when there is none."""
    top, below = (luma[int(height * place / 18) * width:][:width] for place in (1, 3))
    value = 0
    for bit in range(BITS):
        x = int((bit + 0.5) * width / BITS)
        bright = top[x] > 127
        if bright == (below[x] > 127):
            return None
        value |= bright << bit
    return value


class Seen:
    """Collects what a player shows and prints it as one JSON object."""

    def __init__(self):
        self.asked = time.time()
        self.frames = []
        self.channels = 0
        self.loudness = []
        self.errors = []
        self.warnings = []

    def picture(self, luma, width=WIDTH, height=HEIGHT, at=None):
        frame = {"at": round((at or time.time()) * 1000), "value": number(luma, width, height), "hash": zlib.crc32(luma)}
        self.frames.append(frame)

    def sound(self, levels):
        """`levels`: the root mean square of each channel, of full scale."""
        self.channels = len(levels)
        self.loudness.append([round(level, 5) for level in levels])

    def tell(self, now=None):
        all_of_it = {"askedAt": round(self.asked * 1000), "now": round((now or time.time()) * 1000), "frames": self.frames, "channels": self.channels, "loudness": self.loudness,
                     "errors": self.errors, "warnings": self.warnings}
        print(json.dumps(all_of_it), flush=True)
