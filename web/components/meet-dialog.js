/**
 * A question or a list over the room: a sheet at the lower edge of a phone, a card elsewhere. Escape and a tap beside it close it.
 * @module
 */
import { onBeforeUnmount, onMounted, ref } from 'vue';
import { Icon } from './icon.js';

/** From this width on, in CSS pixels, a menu opens beside what it belongs to. */
const BESIDE_WIDTH_MIN = 720;

let count = 0;

export const MeetDialog = {
  components: { Icon },
  props: {
    title: { type: String, required: true },
    /** What it belongs to; without, it stands in the middle. */
    anchor: { type: Object, default: null },
    wide: { type: Boolean, default: false },
  },
  emits: ['close'],
  setup(props, { emit }) {
    const element = ref(/** @type {HTMLDialogElement | null} */ (null));
    const place = ref({});
    const isBeside = props.anchor !== null && innerWidth >= BESIDE_WIDTH_MIN;
    const id = `dialog-${++count}`;

    onMounted(() => {
      const dialog = /** @type {HTMLDialogElement} */ (element.value);
      dialog.showModal();
      if (!isBeside) return;
      const from = props.anchor.getBoundingClientRect();
      const { offsetWidth: width, offsetHeight: height } = dialog;
      const above = from.top - height - 8;
      place.value = {
        left: `${Math.max(8, Math.min(innerWidth - width - 8, from.right - width))}px`,
        top: `${Math.max(8, from.bottom + 8 + height < innerHeight ? from.bottom + 8 : above > 8 ? above : innerHeight - height - 8)}px`,
      };
    });
    onBeforeUnmount(() => element.value?.close());

    // A press on the dialog's own element is one on the space around its content.
    const press = (/** @type {MouseEvent} */ event) => {
      if (event.target === element.value) emit('close');
    };
    return { element, place, isBeside, id, press };
  },
  template: `
    <dialog ref="element" class="sheet" :class="{ beside: isBeside, wide }" :style="place" :aria-labelledby="id" @cancel.prevent="$emit('close')" @click="press">
      <div class="sheet-body">
        <header class="sheet-head">
          <h2 :id="id">{{ title }}</h2>
          <button type="button" class="bare" aria-label="Close" @click="$emit('close')"><Icon name="close" /></button>
        </header>
        <slot></slot>
      </div>
    </dialog>`,
};
