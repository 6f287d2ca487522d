/**
 * Colour maps that are perceptually uniform and readable with colour-blind eyes: viridis and magma (Smith and van der
 * Walt), cividis (Nuñez, Anderton and Renslow), and ColorBrewer's RdBu for differences. Kept as 17 anchors each;
 * between them sRGB is interpolated, at most 5 of 255 levels from the originals.
 */
export const SEQUENTIAL_MAPS = ['viridis', 'cividis', 'magma'] as const;
export type SequentialMap = (typeof SEQUENTIAL_MAPS)[number];
export type ColourMap = SequentialMap | 'blue-red';

const ANCHORS: Record<ColourMap, string> = {
  viridis:
    '440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725',
  cividis:
    '002051 012b65 11366c 26426e 3c4d6e 51586e 62646f 727071 7f7c75 8c8877 9a9478 a9a177 bbaf71 cebd68 e2cb5c f3da4f fdea45',
  magma:
    '000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 d0416f e75263 f56b5c fc8961 fea772 fec488 fde2a3 fcfdbf',
  'blue-red':
    '053061 17518e 2a71ae 448ec1 6bacd0 98c7df bfdceb deebf2 f2efee fae4d8 faccb4 f3aa8c e48268 d1574b b82d35 941127 67001f',
};

/** Colours of a map; index `STEPS` is that of places without a value. */
export const STEPS = 256;
export const NO_VALUE_COLOUR = '#8c8c8c';

const tables = new Map<ColourMap, readonly string[]>();

/** 257 CSS colours: the map from low to high, and that of no value. */
export function colourTable(map: ColourMap): readonly string[] {
  let table = tables.get(map);
  if (!table) {
    table = [
      ...Array.from({ length: STEPS }, (_, i) => interpolate(map, i / (STEPS - 1))),
      NO_VALUE_COLOUR,
    ];
    tables.set(map, table);
  }
  return table;
}

function interpolate(map: ColourMap, at: number): string {
  const anchors = ANCHORS[map].split(' ');
  const place = at * (anchors.length - 1);
  const index = Math.min(anchors.length - 2, Math.floor(place));
  const low = Number.parseInt(anchors[index]!, 16);
  const high = Number.parseInt(anchors[index + 1]!, 16);
  const channel = (shift: number) => {
    const from = (low >> shift) & 255;
    const to = (high >> shift) & 255;
    return Math.round(from + (to - from) * (place - index));
  };
  return `rgb(${channel(16)}, ${channel(8)}, ${channel(0)})`;
}
