/** @module */
import { onBeforeUnmount, ref, watch } from 'vue';

/** The quietest sound that moves the meter, in dB below full scale. */
const FLOOR_DB = -60;
/** How often the meter moves, in ms. */
const INTERVAL_MS = 50;

/**
 * The level of a sound, 0 to 1 on a scale of decibels, and whether it was too loud within the last second.
 * @param {import('vue').Ref<MediaStreamTrack | null>} track
 */
export function useLevel(track) {
  const level = ref(0);
  const clipped = ref(false);
  /** @type {AudioContext | null} */ let context = null;
  let timer;
  let clippedUntil = 0;

  const stop = () => {
    clearInterval(timer);
    context?.close().catch(() => {});
    context = null;
    level.value = 0;
    clipped.value = false;
  };

  watch(track, (now) => {
    stop();
    if (!now || typeof AudioContext === 'undefined') return;
    context = new AudioContext();
    context.resume().catch(() => {}); // A page that was opened without a tap may have to wait for one.
    const analyser = context.createAnalyser();
    analyser.fftSize = 2048;
    context.createMediaStreamSource(new MediaStream([now])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    timer = setInterval(() => {
      if (context?.state === 'suspended') context.resume().catch(() => {});
      analyser.getFloatTimeDomainData(samples);
      const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
      const loudness = peak > 0 ? 1 - (20 * Math.log10(peak)) / FLOOR_DB : 0;
      // Up at once, down slowly: short sounds are seen too.
      level.value = Math.min(1, Math.max(loudness, level.value - 0.04, 0));
      if (peak > 0.99) clippedUntil = performance.now() + 1000;
      clipped.value = performance.now() < clippedUntil;
    }, INTERVAL_MS);
  }, { immediate: true });
  onBeforeUnmount(stop);
  return { level, clipped };
}
