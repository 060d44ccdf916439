// What the page's clock tells.
const MODULUS = 65_536;

/** Milliseconds from drawing to seeing, for every frame whose clock could be read. */
export function latencies(frames) {
  return frames.filter((frame) => frame.value !== null).map((frame) => (frame.at % MODULUS - frame.value + MODULUS) % MODULUS);
}
