"""An IP camera: GStreamer's RTSP server with a choice of picture and sound. Ends on SIGTERM.

    rtsp_camera.py PORT --audio aac|pcma|pcmu|opus|g722|l16|none [--video h264|vp8|jpeg] [--b-frames N] [--file NAME.mkv] [--user NAME --password WORD]

With a file it plays that one, from its beginning: H.264 and AAC.
"""

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PICTURE = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=25/1 ! "
VIDEO = {
    "h264": "x264enc {encoder} speed-preset=veryfast key-int-max=50 bitrate=800 ! video/x-h264,profile=main"
    " ! rtph264pay name=pay0 pt=96 config-interval=0",
    "vp8": "vp8enc deadline=1 ! rtpvp8pay name=pay0 pt=96",
    "jpeg": "videoconvert ! video/x-raw,format=I420 ! jpegenc ! rtpjpegpay name=pay0 pt=26",
}
TONE = "audiotestsrc is-live=true freq=440 volume=0.3 ! audio/x-raw,rate={rate},channels={channels} ! audioconvert ! "
AUDIO = {
    "aac": TONE.format(rate=48000, channels=2) + "avenc_aac bitrate=128000 ! aacparse ! rtpmp4gpay name=pay1 pt=97",
    "pcma": TONE.format(rate=8000, channels=1) + "alawenc ! rtppcmapay name=pay1 pt=8",
    "pcmu": TONE.format(rate=8000, channels=1) + "mulawenc ! rtppcmupay name=pay1 pt=0",
    "opus": TONE.format(rate=48000, channels=2) + "opusenc ! rtpopuspay name=pay1 pt=97",
    "g722": TONE.format(rate=16000, channels=1) + "avenc_g722 ! rtpg722pay name=pay1 pt=9",
    "l16": TONE.format(rate=44100, channels=2) + "rtpL16pay name=pay1 pt=97",
    "none": "",
}
FILE = "filesrc location={file} ! matroskademux name=file file. ! queue ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1"
FILE += " file. ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97"


def protect(server, factory, user, password):
    """Lets nobody in without the password."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    factory.set_permissions(permissions)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("--audio", choices=AUDIO, default="none")
    parser.add_argument("--video", choices=VIDEO, default="h264")
    parser.add_argument("--b-frames", type=int, default=0)
    parser.add_argument("--file")
    parser.add_argument("--user")
    parser.add_argument("--password")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    factory = GstRtspServer.RTSPMediaFactory()
    encoder = f"b-adapt=false bframes={options.b_frames} rc-lookahead=5" if options.b_frames else "tune=zerolatency"
    pipeline = f"{PICTURE}{VIDEO[options.video].format(encoder=encoder)} {AUDIO[options.audio]}"
    if options.file:
        pipeline = FILE.format(file=options.file)
    factory.set_launch(f"( {pipeline} )")
    factory.set_shared(True)
    if options.user:
        protect(server, factory, options.user, options.password)
    server.get_mount_points().add_factory("/camera", factory)
    if not server.attach(None):
        raise SystemExit(f"port {options.port} is in use")
    print("camera ready", flush=True)
    GLib.MainLoop().run()


main()
