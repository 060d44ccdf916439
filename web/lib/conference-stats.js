/**
 * What flows between this participant and the others, in numbers.
 * @module
 */

/**
 * @typedef {object} Inbound
 * @property {string} id whose; empty for a slot that carries nobody now
 * @property {string} source
 * @property {'audio' | 'video'} kind
 * @property {string} mid
 * @property {number} packets
 * @property {number} lost
 * @property {number} bytes
 * @property {number} frames pictures decoded since the section exists
 * @property {number} energy of the sound since the section exists
 * @property {number | null} width
 * @property {number | null} height
 * @property {string} codec
 *
 * @typedef {object} Outbound
 * @property {'audio' | 'video'} kind
 * @property {string} mid
 * @property {string} rid
 * @property {boolean} active
 * @property {number} packets
 * @property {number} bytes
 * @property {number} frames
 * @property {number | null} width
 * @property {number | null} height
 * @property {string} codec
 * @property {string | null} limitation
 */

/**
 * @param {import('./conference-peer.js').Peer | null} peer
 * @param {import('./conference-people.js').Shown[]} shown
 * @returns {Promise<{inbound: Inbound[], outbound: Outbound[], roundTrip_ms: number | null}>}
 */
export async function readStats(peer, shown) {
  const report = await peer?.pc.getStats();
  return digest(report ?? new Map(), shown);
}

/**
 * @param {{forEach(callback: (entry: any) => void): void, get(id: string): any}} report
 * @param {{mid: string, id: string, source: string}[]} shown
 * @returns {{inbound: Inbound[], outbound: Outbound[], roundTrip_ms: number | null}}
 */
export function digest(report, shown) {
  const owners = new Map(shown.map((slot) => [slot.mid, slot]));
  const result = { inbound: [], outbound: [], roundTrip_ms: null };
  report.forEach((entry) => {
    const codec = report.get(entry.codecId)?.mimeType?.split('/')[1]?.toUpperCase() ?? '';
    const shape = { kind: entry.kind, mid: entry.mid ?? '', width: entry.frameWidth ?? null, height: entry.frameHeight ?? null, codec };
    if (entry.type === 'inbound-rtp') {
      const { id = '', source = '' } = owners.get(entry.mid) ?? {};
      result.inbound.push({ id, source, ...shape, packets: entry.packetsReceived ?? 0, lost: entry.packetsLost ?? 0, bytes: entry.bytesReceived ?? 0, frames: entry.framesDecoded ?? 0, energy: entry.totalAudioEnergy ?? 0 });
    } else if (entry.type === 'outbound-rtp') {
      result.outbound.push({ ...shape, rid: entry.rid ?? '', active: entry.active !== false, packets: entry.packetsSent ?? 0, bytes: entry.bytesSent ?? 0, frames: entry.framesEncoded ?? 0, limitation: entry.qualityLimitationReason ?? null });
    } else if (entry.type === 'candidate-pair' && entry.nominated && entry.state === 'succeeded' && typeof entry.currentRoundTripTime === 'number') {
      result.roundTrip_ms = Math.round(entry.currentRoundTripTime * 1000);
    }
  });
  return result;
}
