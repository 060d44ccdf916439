/**
 * Everybody in the room, in words: who leads, who waits with a raised hand, how each one's connection is.
 * @module
 */
import { computed, onMounted, ref } from 'vue';
import { feedOf, handsOf } from '../lib/meet-people.js';
import { audienceWord, moreWord, qualityWord, roleWord } from '../lib/meet-words.js';
import { Icon } from './icon.js';

/** The most of the audience that are listed; the others are a number. */
const LISTED_MAX = 100;

export const MeetPeople = {
  components: { Icon },
  props: {
    conference: { type: Object, required: true },
    groups: { type: Object, required: true },
  },
  emits: ['close', 'menu', 'call'],
  setup(props) {
    const { people, quality, permissions, selfId } = props.conference;
    const title = ref(/** @type {HTMLElement | null} */ (null));
    const line = (person) => {
      const camera = feedOf(person, 'camera');
      return {
        person, isSelf: person.id === selfId.value, role: person.role === 'moderator' || person.role === 'performer' ? roleWord(person.role) : '',
        isMuted: !camera?.audio || camera.muted.audio, isDark: !camera?.video || camera.muted.video, quality: qualityWord(quality.value.get(person.id), person.reachable !== false),
      };
    };
    const audienceIds = computed(() => new Set(props.groups.audience.map(({ id }) => id)));
    const hands = computed(() => handsOf(people.value).map((person) => ({ ...line(person), canCall: permissions.value.moderate && audienceIds.value.has(person.id) })));
    const onStage = computed(() => props.groups.cameras.map(({ person }) => line(person)));
    const audience = computed(() => props.groups.audience.slice(0, LISTED_MAX).map(line));
    const unlisted = computed(() => Math.max(0, props.groups.audience.length - LISTED_MAX));
    onMounted(() => title.value?.focus());
    return { title, hands, onStage, audience, unlisted, audienceWord, moreWord };
  },
  template: `
    <section class="people" aria-labelledby="people-title">
      <header class="sheet-head"><h2 id="people-title" ref="title" tabindex="-1">People</h2><button type="button" class="bare" aria-label="Close the list of people" @click="$emit('close')"><Icon name="close" /></button></header>
      <template v-if="hands.length > 0">
        <h3>Hands</h3>
        <ol class="lines">
          <li v-for="entry in hands" :key="entry.person.id"><Icon name="hand" /><span class="line-name">{{ entry.person.name }}<span v-if="entry.isSelf" class="you"> (you)</span></span>
            <button v-if="entry.canCall" type="button" class="secondary slim" @click="$emit('call', entry.person.id)">Call on stage</button></li>
        </ol>
      </template>
      <h3>On stage <span class="number">{{ onStage.length }}</span></h3>
      <ul class="lines">
        <li v-for="entry in onStage" :key="entry.person.id">
          <span class="line-name">{{ entry.person.name }}<span v-if="entry.isSelf" class="you"> (you)</span><small><template v-if="entry.role">{{ entry.role }} · </template><span :class="['word', entry.quality.toLowerCase()]">{{ entry.quality }}<span class="hidden"> connection</span></span></small></span>
          <span class="line-signs"><Icon :name="entry.isMuted ? 'mic-off' : 'mic'" /><span class="hidden">{{ entry.isMuted ? 'Microphone off' : 'Microphone on' }}</span><Icon :name="entry.isDark ? 'camera-off' : 'camera'" /><span class="hidden">{{ entry.isDark ? 'Camera off' : 'Camera on' }}</span></span>
          <button type="button" class="bare" :aria-label="'Actions for ' + entry.person.name" aria-haspopup="dialog" @click="$emit('menu', entry.person, $event.currentTarget)"><Icon name="more" /></button>
        </li>
      </ul>
      <template v-if="audience.length > 0">
        <h3>Audience <span class="number">{{ audience.length + unlisted }}</span></h3>
        <ul class="lines">
          <li v-for="entry in audience" :key="entry.person.id"><span class="line-name">{{ entry.person.name }}<span v-if="entry.isSelf" class="you"> (you)</span></span>
            <button type="button" class="bare" :aria-label="'Actions for ' + entry.person.name" aria-haspopup="dialog" @click="$emit('menu', entry.person, $event.currentTarget)"><Icon name="more" /></button></li>
        </ul>
        <p v-if="unlisted > 0" class="explain">{{ moreWord(unlisted) }}</p>
      </template>
    </section>`,
};
