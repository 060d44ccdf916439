/**
 * Where the tiles of a room go: as many as fit, as large as they can be, or one large with the others beside it.
 * @module
 */

/** Width to height of a camera's picture. */
export const PICTURE_ASPECT = 16 / 9;
/** Shapes that a tile may have: on a phone, elsewhere. A small screen shows more of a face in a square; a large one need not cut off hands. */
const ASPECTS = [[PICTURE_ASPECT, 4 / 3, 1], [PICTURE_ASPECT, 4 / 3]];
/** The row that leads to the tiles that do not fit, in CSS pixels. */
export const PAGER_HEIGHT = 52;
/** Below this width or this height, in CSS pixels, the screen is a phone's. */
const PHONE_WIDTH = 620;
const PHONE_HEIGHT = 420;
/** From this shape on, width to height, the others stand beside a large tile and not below it. */
const WIDE_ASPECT = 1.25;
/** The narrowest tile in which a face and a name are recognised, in CSS pixels: on a phone, elsewhere. */
const TILE_WIDTH_MIN = [128, 168];
/** How much a cropped picture counts for less than a whole one of its size: 0 not at all, 1 by all that is missing. */
const CROP_WEIGHT = 0.25;
/** More columns than this fit no screen. */
const COLUMNS_MAX = 12;
/** The least part of a picture that may be seen of it; below that it is shown whole, with borders. */
const VISIBLE_MIN = 0.55;

/**
 * @typedef {object} Box in CSS pixels from the corner of the stage
 * @property {number} x
 * @property {number} y
 * @property {number} width
 * @property {number} height
 *
 * @typedef {object} Arrangement
 * @property {Map<string, Box>} boxes of the tiles that are shown
 * @property {number} page counted from 0
 * @property {number} pages 1 when everybody fits
 * @property {number} perPage
 * @property {'grid' | 'beside' | 'below'} kind where the small tiles are
 * @property {Box | null} pager where the way to the other pages belongs; null when there is one page
 */

/**
 * Arranges the tiles.
 * @param {object} stage
 * @param {number} stage.width CSS pixels
 * @param {number} stage.height
 * @param {string[]} stage.keys tiles in their order, without the large one
 * @param {string | null} [stage.large] the tile that gets most of the room
 * @param {number} [stage.page] asked for; the last one when there are fewer
 * @param {number} [stage.gap]
 * @param {number} [stage.most] how many pictures the venue sends at once
 * @returns {Arrangement}
 */
export function arrange({ width, height, keys, large = null, page = 0, gap = 8, most = 49 }) {
  if (width <= 0 || height <= 0) return { boxes: new Map(), page: 0, pages: 1, perPage: 0, kind: 'grid', pager: null };
  if (large === null) return arrangeGrid({ width, height, keys, page, gap, most });
  return arrangeAround({ width, height, keys, large, page, gap, most });
}

function arrangeGrid({ width, height, keys, page, gap, most }) {
  let perPage = Math.min(most, capacity(width, height, gap));
  let tall = height;
  if (keys.length > perPage) {
    tall = Math.max(1, height - PAGER_HEIGHT);
    perPage = Math.min(most, capacity(width, tall, gap));
  }
  const count = Math.min(keys.length, perPage);
  const pages = Math.max(1, Math.ceil(keys.length / Math.max(1, perPage)));
  const shown = Math.min(page, pages - 1);
  const grid = bestGrid(width, tall, count, gap);
  const boxes = placeRows(keys.slice(shown * perPage, (shown + 1) * perPage), grid, width, tall, gap, pages === 1);
  const pager = pages > 1 ? { x: 0, y: tall, width, height: height - tall } : null;
  return { boxes, page: shown, pages, perPage, kind: 'grid', pager };
}

/** How many tiles of the least width fit. At least one always does. */
export function capacity(width, height, gap) {
  const least = Math.min(width, TILE_WIDTH_MIN[isPhone(width, height) ? 0 : 1]);
  const columns = Math.max(1, Math.min(COLUMNS_MAX, Math.floor((width + gap) / (least + gap))));
  const tileWidth = (width - gap * (columns - 1)) / columns;
  const rows = Math.max(1, Math.floor((height + gap) / (Math.min(tileWidth, least * 1.35) / PICTURE_ASPECT + gap)));
  return columns * rows;
}

/** The grid of `count` tiles that shows most of their pictures. */
export function bestGrid(width, height, count, gap) {
  let best = { columns: 1, rows: 1, width: 0, height: 0, score: -1 };
  for (let columns = 1; columns <= Math.min(Math.max(1, count), COLUMNS_MAX); columns++) {
    const rows = Math.ceil(Math.max(1, count) / columns);
    const wide = (width - gap * (columns - 1)) / columns;
    const tall = (height - gap * (rows - 1)) / rows;
    if (wide <= 0 || tall <= 0) continue;
    for (const aspect of ASPECTS[isPhone(width, height) ? 0 : 1]) {
      const tileWidth = Math.min(wide, tall * aspect);
      const tileHeight = tileWidth / aspect;
      const score = tileWidth * tileHeight * (aspect / PICTURE_ASPECT) ** CROP_WEIGHT;
      if (score > best.score * 1.001) best = { columns, rows, width: tileWidth, height: tileHeight, score };
    }
  }
  return best;
}

/** Rows in the middle of the stage; a last row that is not full stands in the middle too, unless there are more pages. */
function placeRows(keys, grid, width, height, gap, isCentred) {
  const boxes = new Map();
  const rows = isCentred ? Math.ceil(keys.length / grid.columns) : grid.rows;
  const top = (height - rows * grid.height - (rows - 1) * gap) / 2;
  keys.forEach((key, place) => {
    const row = Math.floor(place / grid.columns);
    const inRow = isCentred ? Math.min(grid.columns, keys.length - row * grid.columns) : grid.columns;
    const left = (width - inRow * grid.width - (inRow - 1) * gap) / 2;
    boxes.set(key, whole({
      x: left + (place % grid.columns) * (grid.width + gap), y: top + row * (grid.height + gap), width: grid.width, height: grid.height,
    }));
  });
  return boxes;
}

/** A wide stage has the others in a column beside the large tile, a tall one in a grid below it. */
function arrangeAround({ width, height, keys, large, page, gap, most }) {
  if (keys.length === 0) {
    const boxes = new Map([[large, whole({ x: 0, y: 0, width, height })]]);
    return { boxes, page: 0, pages: 1, perPage: 0, kind: 'grid', pager: null };
  }
  if (width / height > WIDE_ASPECT) return arrangeBeside({ width, height, keys, large, page, gap, most: most - 1 });
  const tall = Math.min(width / PICTURE_ASPECT, height * 0.62);
  const below = arrangeGrid({ width, height: height - tall - gap, keys, page, gap, most: most - 1 });
  const down = (box) => ({ ...box, y: Math.round(box.y + tall + gap) });
  const boxes = new Map([[large, whole({ x: 0, y: 0, width, height: tall })], ...[...below.boxes].map(([key, box]) => /** @type {[string, Box]} */ ([key, down(box)]))]);
  return { ...below, boxes, kind: 'below', pager: below.pager && down(below.pager) };
}

function arrangeBeside({ width, height, keys, large, page, gap, most }) {
  const [least, widest] = isPhone(width, height) ? [108, 150] : [150, 260];
  // Everybody in one column if they are still recognised in it, else as many as fit at the least width.
  const sharing = ((height - gap * (keys.length - 1)) / keys.length) * PICTURE_ASPECT;
  const everybody = sharing >= least && keys.length <= most;
  const small = everybody ? Math.min(sharing, widest, width * 0.22) : least;
  const smallHeight = small / PICTURE_ASPECT;
  const perPage = everybody ? keys.length : Math.max(1, Math.min(most, Math.floor((height - PAGER_HEIGHT + gap) / (smallHeight + gap))));
  const pages = Math.max(1, Math.ceil(keys.length / perPage));
  const shown = Math.min(page, pages - 1);
  const boxes = new Map([[large, whole({ x: 0, y: 0, width: width - small - gap, height })]]);
  const top = everybody ? (height - keys.length * smallHeight - (keys.length - 1) * gap) / 2 : 0;
  keys.slice(shown * perPage, (shown + 1) * perPage).forEach((key, place) => {
    boxes.set(key, whole({ x: width - small, y: top + place * (smallHeight + gap), width: small, height: smallHeight }));
  });
  const pager = everybody ? null : { x: width - small, y: height - PAGER_HEIGHT, width: small, height: PAGER_HEIGHT };
  return { boxes, page: shown, pages, perPage, kind: /** @type {const} */ ('beside'), pager };
}

/** Whether a stage is so small that small tiles must do. */
const isPhone = (width, height) => width < PHONE_WIDTH || height < PHONE_HEIGHT;

/**
 * Whether a picture fills its tile (and loses its edges) or is shown whole. What is on a screen, and what was made large, is always whole.
 * @param {number} pictureAspect width to height
 * @param {number} tileAspect
 * @param {boolean} isWhole
 * @returns {'cover' | 'contain'}
 */
export function fitOf(pictureAspect, tileAspect, isWhole) {
  if (isWhole || !(pictureAspect > 0) || !(tileAspect > 0)) return 'contain';
  return Math.min(pictureAspect / tileAspect, tileAspect / pictureAspect) >= VISIBLE_MIN ? 'cover' : 'contain';
}

/** Edges on whole pixels are sharp. */
function whole({ x, y, width, height }) {
  return { x: Math.round(x), y: Math.round(y), width: Math.max(1, Math.floor(width)), height: Math.max(1, Math.floor(height)) };
}
