"""Plays a URL with libvlc as VLC does, and prints what was shown and heard as one JSON object.

    vlc_client.py URL SECONDS
"""

import array
import ctypes
import math
import os
import sys
import time

from pixel_clock import Seen

OPTIONS = [b"--no-interact", b"--intf=dummy", b"--no-video-title-show", b"--quiet", b"--no-lua"]
WIDTH, HEIGHT, RATE = 480, 270, 48000
ENDED, FAILED = 6, 7

lib = ctypes.CDLL("libvlc.so.5")
for name, result, arguments in (
    ("libvlc_new", ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)),
    ("libvlc_media_new_location", ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_char_p)),
    ("libvlc_media_player_new_from_media", ctypes.c_void_p, (ctypes.c_void_p,)),
    ("libvlc_media_player_play", ctypes.c_int, (ctypes.c_void_p,)),
    ("libvlc_media_player_stop", None, (ctypes.c_void_p,)),
    ("libvlc_media_player_get_state", ctypes.c_int, (ctypes.c_void_p,)),
    ("libvlc_video_set_format", None, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)),
    ("libvlc_video_set_callbacks", None, (ctypes.c_void_p,) * 5),
    ("libvlc_audio_set_format_callbacks", None, (ctypes.c_void_p,) * 3),
    ("libvlc_audio_set_callbacks", None, (ctypes.c_void_p,) * 7),
):
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments


def address(callback):
    return ctypes.cast(callback, ctypes.c_void_p)


def main():
    url, seconds = sys.argv[1], float(sys.argv[2])
    seen = Seen()
    luma = ctypes.create_string_buffer(WIDTH * HEIGHT * 2)

    @ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))
    def lock(_, planes):
        base = ctypes.addressof(luma)
        planes[0], planes[1], planes[2] = base, base + WIDTH * HEIGHT, base + WIDTH * HEIGHT * 5 // 4

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
    def display(*_):
        seen.picture(ctypes.string_at(luma, WIDTH * HEIGHT), WIDTH, HEIGHT)

    channels = [2]

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint), ctypes.POINTER(ctypes.c_uint))
    def prepare(_, form, rate, count):
        ctypes.memmove(form, b"S16N", 4)
        channels[0] = count[0]
        return 0

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int64)
    def play(_, samples, count, __):
        values = array.array("h", ctypes.string_at(samples, count * channels[0] * 2))
        sides = [values[side::channels[0]] for side in range(channels[0])]
        seen.sound([math.sqrt(sum(v * v for v in side) / len(side)) / 32768 for side in sides])

    arguments = (ctypes.c_char_p * len(OPTIONS))(*OPTIONS)
    instance = lib.libvlc_new(len(OPTIONS), ctypes.cast(arguments, ctypes.c_void_p))
    player = lib.libvlc_media_player_new_from_media(lib.libvlc_media_new_location(instance, url.encode()))
    lib.libvlc_video_set_format(player, b"I420", WIDTH, HEIGHT, WIDTH)
    lib.libvlc_video_set_callbacks(player, address(lock), None, address(display), None)
    lib.libvlc_audio_set_callbacks(player, address(play), None, None, None, None, None)
    lib.libvlc_audio_set_format_callbacks(player, address(prepare), None)
    seen.asked = time.time()
    lib.libvlc_media_player_play(player)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state = lib.libvlc_media_player_get_state(player)
        if state in (ENDED, FAILED):
            seen.errors.append(f"libvlc's state is {'ended' if state == ENDED else 'error'} after {seconds - (until - time.monotonic()):.1f} s")
            break
        time.sleep(0.05)
    seen.tell()
    # Stopping waits for whatever hangs.
    os._exit(0)


main()
