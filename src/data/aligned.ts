/**
 * A buffer and offset on which an array of `elementBytes` may lie: the view's own where they are aligned, else a copy's.
 */
export function aligned(
  view: Uint8Array,
  elementBytes: number,
): { buffer: ArrayBuffer; byteOffset: number } {
  if (view.buffer instanceof ArrayBuffer && view.byteOffset % elementBytes === 0) {
    return { buffer: view.buffer, byteOffset: view.byteOffset };
  }
  return { buffer: new Uint8Array(view).buffer, byteOffset: 0 };
}
