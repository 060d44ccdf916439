/**
 * Which camera, microphone and speaker are used, and what is done to the sound.
 * @module
 */
import { ref } from 'vue';

/** A quiet tone that shows which speaker is chosen: 440 Hz, in seconds. */
const TONE_S = 0.6;
const canChooseSpeaker = typeof HTMLMediaElement !== 'undefined' && 'setSinkId' in HTMLMediaElement.prototype;

async function playTone(/** @type {string} */ speaker) {
  const context = new AudioContext();
  const sink = context.createMediaStreamDestination();
  const volume = new GainNode(context, { gain: 0 });
  const tone = new OscillatorNode(context, { frequency: 440 });
  tone.connect(volume).connect(sink);
  const end = context.currentTime + TONE_S;
  volume.gain.linearRampToValueAtTime(0.2, context.currentTime + 0.05);
  volume.gain.setValueAtTime(0.2, end - 0.1);
  volume.gain.linearRampToValueAtTime(0, end);
  const player = new Audio();
  player.srcObject = sink.stream;
  if (canChooseSpeaker) await player.setSinkId(speaker).catch(() => {});
  await player.play();
  tone.start();
  tone.stop(end);
  await new Promise((done) => { tone.onended = () => done(null); });
  await context.close();
}

export const MeetDevices = {
  props: {
    settings: { type: Object, required: true },
    devices: { type: Object, required: true },
    /** Whether music mode may be chosen. */
    music: { type: Boolean, default: false },
    /** Whether one may be seen and heard at all. */
    publish: { type: Boolean, default: true },
  },
  setup(props) {
    const playing = ref(false);
    async function test() {
      playing.value = true;
      await playTone(props.settings.speaker).catch(() => {});
      playing.value = false;
    }
    return { canChooseSpeaker, playing, test };
  },
  template: `
    <div class="devices">
      <label v-if="publish" class="field"><span>Camera</span>
        <select v-model="settings.camera">
          <option value="">The system’s choice</option>
          <option v-for="device in devices.cameras" :key="device.deviceId" :value="device.deviceId">{{ device.label || 'Camera' }}</option>
        </select>
      </label>
      <label v-if="publish" class="field"><span>Microphone</span>
        <select v-model="settings.microphone">
          <option value="">The system’s choice</option>
          <option v-for="device in devices.microphones" :key="device.deviceId" :value="device.deviceId">{{ device.label || 'Microphone' }}</option>
        </select>
      </label>
      <div class="field-row">
        <label v-if="canChooseSpeaker" class="field"><span>Speaker</span>
          <select v-model="settings.speaker">
            <option value="">The system’s choice</option>
            <option v-for="device in devices.speakers" :key="device.deviceId" :value="device.deviceId">{{ device.label || 'Speaker' }}</option>
          </select>
        </label>
        <button type="button" class="secondary" :disabled="playing" @click="test">{{ playing ? 'Playing' : 'Play a tone' }}</button>
      </div>
      <label v-if="music && publish" class="check"><input type="checkbox" v-model="settings.music">
        <span>Music mode<small>Stereo, exactly as it is played, and never left out for louder people. Wear headphones: echo is not removed.</small></span></label>
    </div>`,
};
