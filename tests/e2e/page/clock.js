// A number drawn as 16 black and white blocks, with its complement in the row below: readable from decoded pixels after any codec.
const BITS = 16;
/** The part of the picture's height that both rows take. */
const STRIP = 2 / 9;
export const MODULUS = 1 << BITS;

/** Draws `value` over the top of the canvas. */
export function drawValue(context, value) {
  const width = context.canvas.width / BITS;
  const height = (context.canvas.height * STRIP) / 2;
  for (let bit = 0; bit < BITS; bit++) {
    const set = (value >> bit) & 1;
    context.fillStyle = set ? '#fff' : '#000';
    context.fillRect(bit * width, 0, width, height);
    context.fillStyle = set ? '#000' : '#fff';
    context.fillRect(bit * width, height, width, height);
  }
}

/** Reads frames of one video element. */
export class Reader {
  constructor() {
    this.strip = Object.assign(document.createElement('canvas'), { width: BITS * 4, height: 8 }).getContext('2d', { willReadFrequently: true });
    this.whole = Object.assign(document.createElement('canvas'), { width: 32, height: 18 }).getContext('2d', { willReadFrequently: true });
  }

  /** The number in the picture, or null when there is none. */
  value(video) {
    const { canvas } = this.strip;
    this.strip.drawImage(video, 0, 0, video.videoWidth, video.videoHeight * STRIP, 0, 0, canvas.width, canvas.height);
    const { data } = this.strip.getImageData(0, 0, canvas.width, canvas.height);
    const bright = (row, bit) => data[((row * 4 + 1) * canvas.width + bit * 4 + 1) * 4 + 1] > 127;
    let value = 0;
    for (let bit = 0; bit < BITS; bit++) {
      if (bright(0, bit) === bright(1, bit)) return null;
      if (bright(0, bit)) value |= 1 << bit;
    }
    return value;
  }

  /** A fingerprint of the picture and the spread of its brightness (0 for one flat colour). */
  picture(video) {
    const { canvas } = this.whole;
    this.whole.drawImage(video, 0, 0, canvas.width, canvas.height);
    const { data } = this.whole.getImageData(0, 0, canvas.width, canvas.height);
    let hash = 0, low = 255, high = 0;
    for (let i = 1; i < data.length; i += 4) {
      hash = (hash * 31 + (data[i] >> 2)) | 0;
      low = Math.min(low, data[i]);
      high = Math.max(high, data[i]);
    }
    return { hash, spread: high - low };
  }
}
