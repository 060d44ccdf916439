/**
 * What a person switches during a meeting.
 * @module
 */
import { Icon } from './icon.js';

export const MeetBar = {
  components: { Icon },
  props: {
    publish: { type: Boolean, required: true },
    microphone: { type: Boolean, required: true },
    camera: { type: Boolean, required: true },
    /** Whether a device refused to work; its button says so. */
    trouble: { type: Object, required: true },
    sharing: { type: Boolean, required: true },
    canShare: { type: Boolean, required: true },
    hand: { type: Boolean, required: true },
    /** How many hands of others are raised. */
    hands: { type: Number, default: 0 },
  },
  emits: ['microphone', 'camera', 'screen', 'hand', 'more', 'leave'],
  template: `
    <div class="bar" role="group" aria-label="Your controls">
      <button v-if="publish" type="button" class="control" :class="{ off: !microphone, trouble: trouble.microphone }" :aria-pressed="microphone" :aria-label="microphone ? 'Turn the microphone off' : 'Turn the microphone on'" title="Microphone (m)" @click="$emit('microphone')"><Icon :name="microphone ? 'mic' : 'mic-off'" /><span>Microphone</span></button>
      <button v-if="publish" type="button" class="control" :class="{ off: !camera, trouble: trouble.camera }" :aria-pressed="camera" :aria-label="camera ? 'Turn the camera off' : 'Turn the camera on'" title="Camera (v)" @click="$emit('camera')"><Icon :name="camera ? 'camera' : 'camera-off'" /><span>Camera</span></button>
      <button v-if="publish && canShare" type="button" class="control" :class="{ on: sharing }" :aria-pressed="sharing" :aria-label="sharing ? 'Stop sharing the screen' : 'Share the screen'" title="Screen (s)" @click="$emit('screen')"><Icon :name="sharing ? 'screen-off' : 'screen'" /><span>{{ sharing ? 'Stop screen' : 'Screen' }}</span></button>
      <button type="button" class="control" :class="{ on: hand }" :aria-pressed="hand" :aria-label="hand ? 'Lower your hand' : 'Raise your hand'" title="Hand (h)" @click="$emit('hand')"><Icon name="hand" /><span>Hand</span></button>
      <button type="button" class="control" aria-haspopup="dialog" :aria-label="hands > 0 ? 'More, ' + hands + (hands === 1 ? ' hand raised' : ' hands raised') : 'More'" title="More" @click="$emit('more', $event.currentTarget)"><Icon name="more" /><span>More</span><span v-if="hands > 0" class="count" aria-hidden="true">{{ hands }}</span></button>
      <button type="button" class="control leave" aria-label="Leave the room" title="Leave" @click="$emit('leave')"><Icon name="leave" /><span>Leave</span></button>
    </div>`,
};
