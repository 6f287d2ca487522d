/** Dropped files for the tests, made here or taken from the library's fixtures. */
import { encode } from 'fast-png';
import type { File as H5File } from 'h5wasm';
import { type SafetensorInput, serializeSafetensors } from '../../../src/data/safetensors.ts';
import type { DroppedFile } from '../../../src/web/protocol.ts';
import type { DatasetFolder } from '../../../src/web/worker/dataset.ts';

type Content = string | Uint8Array<ArrayBuffer>;

export function dropped(path: string, content: Content): DroppedFile {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return { path, file: new File([content], name) };
}

export async function gzipped(content: Content): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([content]).stream().pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** An HDF5 file. */
export async function h5(build: (file: H5File) => void): Promise<Uint8Array<ArrayBuffer>> {
  const { File: NewFile, ready } = await import('h5wasm');
  const { FS } = await ready;
  const path = `/made-${crypto.randomUUID()}.h5`;
  const file = new NewFile(path, 'w');
  build(file);
  file.close();
  const bytes = new Uint8Array(FS.readFile(path));
  FS.unlink(path);
  return bytes;
}

export function safetensors(
  tensors: Record<string, SafetensorInput>,
  metadata: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  return serializeSafetensors(tensors, metadata);
}

/** Features [rows, width] that count up from `start`, on a grid of patches of 256 pixels. */
export function features(rows: number, width: number, start = 0, settings?: object) {
  const coords = Array.from({ length: rows }, (_, i) => [256 * (i % 3), 256 * Math.floor(i / 3)]);
  return safetensors(
    {
      features: {
        shape: [rows, width],
        data: Float32Array.from({ length: rows * width }, (_, i) => start + i),
      },
      coords: { shape: [rows, 2], data: Int32Array.from(coords.flat()) },
    },
    settings ? { histograd: JSON.stringify(settings) } : {},
  );
}

/** What intake reads of a trained model: its header. */
export function model(width: number, made?: object): Uint8Array<ArrayBuffer> {
  return safetensors(
    { 'weights.0': { shape: [1], data: Float32Array.of(1) } },
    {
      format: 'histograd-model',
      kind: 'ridge',
      width: String(width),
      ...(made && { provenance: JSON.stringify({ features: made }) }),
    },
  );
}

/** A PNG whose pixel (x, y) is what `colour` says. */
export function png(
  width: number,
  height: number,
  colour: (x: number, y: number) => readonly [number, number, number],
): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++)
    data.set(colour(i % width, Math.floor(i / width)), 3 * i);
  return new Uint8Array(encode({ width, height, data, channels: 3, depth: 8 }));
}

/** Stained tissue with a texture, so that statistics differ from place to place. */
export function tissue(x: number, y: number): [number, number, number] {
  const wave = Math.sin(x / 5) * Math.cos(y / 7);
  return [Math.round(170 + 60 * wave), Math.round(90 + x / 8 + 20 * wave), Math.round(160 + y / 8)];
}

/** A folder of the browser's storage, in memory. */
export function memoryFolder(): DatasetFolder & { readonly files: Map<string, File> } {
  const files = new Map<string, File>();
  return {
    files,
    read: async (name) => files.get(name) ?? null,
    async write(name, content) {
      files.set(name, new File([content], name));
    },
  };
}
