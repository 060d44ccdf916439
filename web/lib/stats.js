/**
 * What a browser's statistics say about a connection, in the units that people use.
 * @module
 */

/**
 * @typedef {object} Sample running totals, for the difference to the next reading
 * @property {number} at ms
 * @property {number} bytes media, both kinds
 * @property {number} packets
 * @property {number} lost
 *
 * @typedef {object} Summary
 * @property {number | null} bitrate_bps media sent or received, without headers; null at the first reading
 * @property {number | null} loss share of packets lost since the last reading, 0 to 1
 * @property {number | null} roundTrip_ms
 * @property {number | null} fps
 * @property {number | null} width pixels of the picture (of the largest layer)
 * @property {number | null} height
 * @property {string | null} codec of the picture, else of the sound: `H264`, `VP8`, `OPUS`
 * @property {number} frames pictures decoded or encoded since the session began
 * @property {number} videoBytes
 * @property {number} audioPackets
 * @property {string | null} limitation why the encoder sends less than asked: `cpu` or `bandwidth`
 */

/**
 * Reads a report of either direction.
 * @param {{forEach(callback: (entry: any) => void): void, get(id: string): any}} report an `RTCStatsReport` or a `Map`
 * @param {Sample | null} previous
 * @returns {{summary: Summary, sample: Sample}}
 */
export function summarize(report, previous) {
  const totals = { at: 0, bytes: 0, packets: 0, lost: 0 };
  const seen = { frames: 0, videoBytes: 0, audioPackets: 0, fps: null, width: null, height: null, limitation: null };
  let roundTrip = null;
  let fraction = null;
  const codecs = { video: null, audio: null };
  report.forEach((entry) => {
    if (entry.type === 'inbound-rtp' || entry.type === 'outbound-rtp') {
      media(entry, report, totals, seen, codecs);
    } else if (entry.type === 'remote-inbound-rtp') {
      // The receiver's own count: the only one that knows what was lost on the way out.
      totals.lost += entry.packetsLost ?? 0;
      if (typeof entry.fractionLost === 'number') fraction = Math.max(fraction ?? 0, entry.fractionLost);
      roundTrip ??= seconds(entry.roundTripTime);
    } else if (entry.type === 'candidate-pair' && entry.nominated && entry.state === 'succeeded') {
      roundTrip = seconds(entry.currentRoundTripTime) ?? roundTrip;
    }
  });
  const elapsed = previous ? totals.at - previous.at : 0;
  const packets = previous ? totals.packets - previous.packets : 0;
  const lost = previous ? Math.max(0, totals.lost - previous.lost) : 0;
  return {
    sample: totals,
    summary: {
      bitrate_bps: elapsed > 0 ? Math.max(0, Math.round(((totals.bytes - previous.bytes) * 8000) / elapsed)) : null,
      loss: packets + lost > 0 ? lost / (packets + lost) : fraction,
      roundTrip_ms: roundTrip === null ? null : Math.round(roundTrip * 1000),
      codec: codecs.video ?? codecs.audio,
      ...seen,
    },
  };
}

const seconds = (/** @type {unknown} */ value) => (typeof value === 'number' ? value : null);

function media(entry, report, totals, seen, codecs) {
  const sent = entry.type === 'outbound-rtp';
  totals.at = Math.max(totals.at, entry.timestamp ?? 0);
  totals.bytes += (sent ? entry.bytesSent : entry.bytesReceived) ?? 0;
  totals.packets += (sent ? entry.packetsSent : entry.packetsReceived) ?? 0;
  if (!sent) totals.lost += entry.packetsLost ?? 0;
  const name = report.get(entry.codecId)?.mimeType?.split('/')[1]?.toUpperCase() ?? null;
  if (entry.kind !== 'video') {
    codecs.audio = name ?? codecs.audio;
    seen.audioPackets += (sent ? entry.packetsSent : entry.packetsReceived) ?? 0;
    return;
  }
  codecs.video = name ?? codecs.video;
  seen.frames += (sent ? entry.framesEncoded : entry.framesDecoded) ?? 0;
  seen.videoBytes += (sent ? entry.bytesSent : entry.bytesReceived) ?? 0;
  if ((entry.frameHeight ?? 0) > (seen.height ?? 0)) {
    seen.width = entry.frameWidth ?? null;
    seen.height = entry.frameHeight;
    seen.fps = entry.framesPerSecond === undefined ? seen.fps : Math.round(entry.framesPerSecond);
  }
  const limitation = entry.qualityLimitationReason;
  if (limitation === 'cpu' || limitation === 'bandwidth') seen.limitation = limitation;
}

/** How long the picture may stand still, in ms, while the stage is live. */
export const FROZEN_AFTER_MS = 5000;
/** Longest such time after pictures that stood still again and again, in ms. */
export const FROZEN_AFTER_MAX_MS = 40_000;

/**
 * Says when a connection that looks fine brings nothing any more. Each time that a new session does not help, the next one gets twice the
 * time, so that a performer who really holds a still picture does not make every viewer reconnect for ever.
 */
export class Watchdog {
  #patience = FROZEN_AFTER_MS;
  /** @type {number | null} */ #since = null;
  /** @type {string} */ #last = '';
  #moved = false;

  /** A new session begins. */
  begin() {
    this.#since = null;
    this.#last = '';
    this.#moved = false;
  }

  /**
   * @param {number} now ms
   * @param {{frames: number, videoBytes: number, audioPackets: number}} summary
   * @param {{video: boolean}} expected whether a picture is negotiated
   * @returns {boolean} true when the session should be given up
   */
  isFrozen(now, { frames, videoBytes, audioPackets }, { video }) {
    // Without one byte of picture the performer may send sound alone: then the sound is what must go on.
    const progress = video && (frames > 0 || videoBytes > 0) ? `v${frames}` : `a${audioPackets}`;
    if (this.#since === null || progress !== this.#last) {
      if (this.#last !== '') {
        if (this.#moved) this.#patience = FROZEN_AFTER_MS;
        this.#moved = true;
      }
      this.#last = progress;
      this.#since = now;
      return false;
    }
    if (now - this.#since < this.#patience) return false;
    this.#patience = Math.min(FROZEN_AFTER_MAX_MS, this.#patience * 2);
    this.#since = now;
    return true;
  }
}
