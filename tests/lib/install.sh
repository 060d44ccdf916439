# What the suites need, installed without asking. Sourced by tests/run; quick when everything is there.
# shellcheck shell=bash

APT_BUILD=(build-essential pkg-config perl python3 ca-certificates)
APT_E2E=(chromium firefox-esr fonts-dejavu-core iproute2 python3 python3-venv python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-rtsp-server-1.0
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
  gstreamer1.0-nice libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstreamer-plugins-bad1.0-dev
  nginx openssl ffmpeg webkit2gtk-driver xvfb gstreamer1.0-gl puredata-core vlc-bin vlc-plugin-base mpv)
APT_BENCH=(janus)
APT_BUS_BENCH=(redis-server)
APT_HLS_BENCH=(chromium nginx libnginx-mod-rtmp wrk python3 python3-venv)

# timed WHAT COMMAND...: says how long it took.
timed() {
  local what=$1 began=$SECONDS code=0
  shift
  "$@" || code=$?
  printf 'time | %s: %d s\n' "$what" $((SECONDS - began))
  return $code
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo --non-interactive "$@"; fi; }

need_apt() {
  local missing=() package
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  say "installing from Debian: ${missing[*]}"
  timed 'apt: lists' as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 update -qq
  timed "apt: ${missing[0]} and ${#missing[@]} in all" \
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" </dev/null
}

need_node() {
  local major=0
  if command -v node >/dev/null; then major=$(node -p 'process.versions.node.split(".")[0]'); fi
  [ "$major" -ge 18 ] || need_apt nodejs
  command -v npm >/dev/null || need_apt npm
}

# need_once STAMP FILE... -- COMMAND...: runs the command unless it succeeded before with the same files.
need_once() {
  local stamp="$CACHE/$1.stamp" files=() sum
  shift
  while [ "$1" != -- ]; do files+=("$1"); shift; done
  shift
  sum=$(sha256sum "${files[@]}" | sha256sum)
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return
  say "preparing ${stamp##*/}: ${*:0:3}"
  timed "${stamp##*/}" "$@" </dev/null
  echo "$sum" >"$stamp"
}

install_npm() { (cd "$ROOT/tests/e2e" && npm ci --no-audit --no-fund --ignore-scripts); }

install_python() {
  # Debian's Python, because it alone sees Debian's GStreamer bindings.
  rm -rf "$CACHE/venv"
  /usr/bin/python3 -m venv --system-site-packages "$CACHE/venv"
  "$CACHE/venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$ROOT/tests/e2e/requirements.txt"
}

# Tools are built without optimisation and share one target directory.
TOOLS=(--target-dir target/tools --config profile.dev.debug=0)

install_gst_plugin() {
  cargo build --locked --manifest-path tests/e2e/gst-plugin/Cargo.toml -p gst-plugin-webrtchttp "${TOOLS[@]}"
}

# Downloads wait for the network and compilers for the processor: what later suites need is fetched and built beside the first
# ones, with what they leave of the processor. A failure here is found again, and told, by the suite that needs it.
AHEAD_PID=''
install_ahead() {
  local suites=("${@%%:*}")
  [ ${#suites[@]} -gt 1 ] || return 0
  (
    renice -n 10 -p "$BASHPID" >/dev/null
    for suite in "${suites[@]}"; do (set -e; need "$suite"); done
  ) >"$LOGS/install.log" 2>&1 </dev/null &
  AHEAD_PID=$!
}

# await_installs SUITE: lets what was begun ahead come to its end, if the suite needs anything.
await_installs() {
  case $1 in lint | tidy | unit | sim | http | fuzz) return ;; esac
  [ -n "$AHEAD_PID" ] || return 0
  timed 'waiting for what is being installed' wait "$AHEAD_PID"
  AHEAD_PID=''
  grep '^time | ' "$LOGS/install.log"
}

# need SUITE: everything that one suite needs beyond a Rust toolchain.
need() {
  case $1 in
    web) need_node ;;
    e2e)
      need_node
      need_apt "${APT_E2E[@]}"
      need_once npm tests/e2e/package-lock.json -- install_npm
      [ -x "$CACHE/venv/bin/python" ] || rm -f "$CACHE/python.stamp"
      need_once python tests/e2e/requirements.txt -- install_python
      [ -f target/tools/debug/libgstwebrtchttp.so ] || rm -f "$CACHE/gst-plugin.stamp"
      need_once gst-plugin tests/e2e/gst-plugin/Cargo.lock -- install_gst_plugin
      ;;
    fuzz) ;;
    hls-bench)
      need_node
      need_apt "${APT_HLS_BENCH[@]}"
      need_once npm tests/e2e/package-lock.json -- install_npm
      [ -x "$CACHE/venv/bin/python" ] || rm -f "$CACHE/python.stamp"
      need_once python tests/e2e/requirements.txt -- install_python
      ;;
    e2e-basics) need_node; need_apt iproute2; need_once npm tests/e2e/package-lock.json -- install_npm ;;
    bus-bench) need e2e-basics; need_apt "${APT_BUS_BENCH[@]}" ;;
    bench-smoke) need e2e-basics; need janus; need hls-bench; need bus-bench ;;
    janus) need_apt "${APT_BENCH[@]}" ;;
  esac
}
