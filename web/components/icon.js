/**
 * The few signs of the pages, drawn in the colour of their text.
 * @module
 */

const PATHS = {
  muted: 'M4 9v6h4l5 4V5L8 9H4Zm12.5.5 5 5m0-5-5 5',
  sound: 'M4 9v6h4l5 4V5L8 9H4Zm12-1a5 5 0 0 1 0 8m2.6-10.6a9 9 0 0 1 0 13.2',
  enlarge: 'M4 9V4h5m6 0h5v5m0 6v5h-5m-6 0H4v-5',
  reduce: 'M9 4v5H4m16 0h-5V4m0 16v-5h5M4 15h5v5',
  eye: 'M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12Zm9.5 3a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z',
  camera: 'M3 7.5h11.5v9H3zm11.5 3.2L21 7.5v9l-6.500-3.200',
  screen: 'M3 5h18v11H3zm6 15h6m-3-4v4',
  play: 'M7 4.500v15l12-7.500L7 4.500Z',
};

/** `name`: a key of `PATHS`. It says nothing to a screen reader: the button around it does. */
export const Icon = {
  props: { name: { type: String, required: true } },
  setup: () => ({ PATHS }),
  template: `<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path :d="PATHS[name]"></path></svg>`,
};
