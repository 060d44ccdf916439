"""aiortc as a WHIP performer or WHEP viewer. Prints one JSON object at the end: what was decoded.

    aiortc_client.py view URL SECONDS [--count N] [--spread S]
    aiortc_client.py publish URL SECONDS [--file NAME]
"""

import argparse
import array
import asyncio
import fractions
import json
import math
import time
from urllib.parse import urljoin

import aiohttp
import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError

SAMPLE_RATE = 48_000
# The default asks a public STUN server and waits for its answer.
ALONE = RTCConfiguration(iceServers=[])
PATIENCE_S = 10


class Scene(VideoStreamTrack):
    """A picture that changes with every frame: a bright bar that walks over a gradient."""

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        width, height = 320, 240
        offset = pts // 3000 * 4 % width
        row = bytearray((x * 200 // width + 20) for x in range(width))
        row[offset : offset + 24] = b"\xeb" * len(row[offset : offset + 24])
        frame = av.VideoFrame(width, height, "yuv420p")
        for index, plane in enumerate(frame.planes):
            line = bytes(row) if index == 0 else b"\x80" * plane.width
            plane.update((line + bytes(plane.line_size - plane.width)) * plane.height)
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(MediaStreamTrack):
    """440 Hz, stereo, 20 ms a frame."""

    kind = "audio"
    samples = SAMPLE_RATE // 50
    started = None
    sent = 0

    async def recv(self):
        self.started = self.started or time.monotonic()
        await asyncio.sleep(max(0.0, self.started + self.sent / SAMPLE_RATE - time.monotonic()))
        values = array.array("h")
        for i in range(self.samples):
            value = int(9000 * math.sin(2 * math.pi * 440 * (self.sent + i) / SAMPLE_RATE))
            values.extend((value, value))
        frame = av.AudioFrame(format="s16", layout="stereo", samples=self.samples)
        frame.planes[0].update(values.tobytes())
        frame.pts, frame.sample_rate, frame.time_base = self.sent, SAMPLE_RATE, fractions.Fraction(1, SAMPLE_RATE)
        self.sent += self.samples
        return frame


async def post(http, pc, url, patience_s=PATIENCE_S):
    """Sends the offer, takes the answer, returns the resource. Waits while nothing is live."""
    await pc.setLocalDescription(await pc.createOffer())
    deadline = time.monotonic() + patience_s
    while True:
        headers = {"Content-Type": "application/sdp"}
        async with http.post(url, data=pc.localDescription.sdp, headers=headers) as response:
            text = await response.text()
            if response.status == 201:
                await pc.setRemoteDescription(RTCSessionDescription(text, "answer"))
                return urljoin(url, response.headers["Location"])
            if response.status != 409 or time.monotonic() > deadline:
                raise SystemExit(f"POST {url}: {response.status} {text}")
        await asyncio.sleep(0.1)


class Seen:
    """What one viewer decoded."""

    def __init__(self):
        self.asked = time.monotonic()
        self.first_ms = None
        self.frames, self.pictures = 0, set()
        self.audio_frames, self.samples, self.level = 0, 0, []
        self.silent_frames, self.gap_ms_max, self.last_audio = 0, 0.0, None
        self.missing_samples, self.next_pts = 0, None

    def video(self, frame):
        if self.first_ms is None:
            self.first_ms = round((time.monotonic() - self.asked) * 1000)
        self.frames += 1
        plane = frame.reformat(width=32, height=18, format="gray").planes[0]
        self.pictures.add(bytes(plane))

    def audio(self, frame):
        now = time.monotonic()
        values = array.array("h", bytes(frame.planes[0]))
        rms = math.sqrt(sum(v * v for v in values[::8]) / max(1, len(values[::8])))
        self.audio_frames += 1
        self.samples += frame.samples
        self.level.append(rms)
        self.silent_frames += rms < 200
        if self.last_audio is not None:
            self.gap_ms_max = max(self.gap_ms_max, (now - self.last_audio) * 1000)
        self.last_audio = now
        # What was lost or never sent shows as a jump of the media's own clock.
        if self.next_pts is not None:
            self.missing_samples += abs(frame.pts - self.next_pts)
        self.next_pts = frame.pts + frame.samples

    def summary(self, state):
        level = sorted(self.level)
        return {
            "state": state,
            "first_ms": self.first_ms,
            "frames": self.frames,
            "distinct": len(self.pictures),
            "audio_frames": self.audio_frames,
            "audio_s": round(self.samples / SAMPLE_RATE, 2),
            "level": round(level[len(level) // 2]) if level else 0,
            "silent_frames": self.silent_frames,
            "missing_ms": round(self.missing_samples * 1000 / SAMPLE_RATE),
            "gap_ms_max": round(self.gap_ms_max),
        }


async def consume(track, take):
    try:
        while True:
            take(await track.recv())
    except MediaStreamError:
        pass


async def view(http, url, seconds, delay_s):
    await asyncio.sleep(delay_s)
    pc, seen, tasks = RTCPeerConnection(ALONE), Seen(), []

    @pc.on("track")
    def on_track(track):
        tasks.append(asyncio.ensure_future(consume(track, seen.video if track.kind == "video" else seen.audio)))

    for kind in ("video", "audio"):
        pc.addTransceiver(kind, direction="recvonly")
    resource = await post(http, pc, url)
    await asyncio.sleep(seconds)
    summary = seen.summary(pc.connectionState)
    async with http.delete(resource) as response:
        summary["delete"] = response.status
    await pc.close()
    for task in tasks:
        task.cancel()
    return summary


async def publish(http, url, seconds, file):
    pc = RTCPeerConnection(ALONE)
    player = MediaPlayer(file) if file else None
    for track in (player.video, player.audio) if player else (Scene(), Tone()):
        pc.addTransceiver(track, direction="sendonly")
    resource = await post(http, pc, url)
    print("publishing", flush=True)
    await asyncio.sleep(seconds)
    state = pc.connectionState
    async with http.delete(resource) as response:
        status = response.status
    await pc.close()
    return {"state": state, "delete": status}


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["view", "publish"])
    parser.add_argument("url")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--count", type=int, default=1, help="viewers in this process")
    parser.add_argument("--file", help="played at its pace instead of the bar and the tone")
    parser.add_argument("--spread", type=float, default=0.0, help="seconds over which they join")
    options = parser.parse_args()
    async with aiohttp.ClientSession() as http:
        if options.role == "publish":
            result = await publish(http, options.url, options.seconds, options.file)
        else:
            delays = (options.spread * i / options.count for i in range(options.count))
            viewers = await asyncio.gather(*(view(http, options.url, options.seconds, d) for d in delays))
            result = {"viewers": viewers}
    print(json.dumps(result))


asyncio.run(main())
