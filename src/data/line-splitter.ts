/** The lines of a text whose bytes come in pieces. */

/**
 * Gives `take` every line, without its end, as soon as it is complete; the last one when `finish` is called, unless it
 * is empty. Memory holds one line, and the time is that of the bytes however the pieces are cut.
 *
 * @param maxLine letters; of a longer line, `tooLong` makes the error
 */
export function lineSplitter(
  take: (line: string) => void,
  maxLine: number,
  tooLong: () => Error,
): { push(bytes: Uint8Array): void; finish(): void } {
  const decoder = new TextDecoder();
  let pieces: string[] = [];
  let length = 0;

  const add = (piece: string): void => {
    length += piece.length;
    if (length > maxLine) throw tooLong();
    if (piece !== '') pieces.push(piece);
  };
  const end = (): void => {
    const line = pieces.join('');
    pieces = [];
    length = 0;
    take(line);
  };
  const feed = (text: string): void => {
    let from = 0;
    for (let to = text.indexOf('\n'); to >= 0; to = text.indexOf('\n', from)) {
      add(text.slice(from, to));
      end();
      from = to + 1;
    }
    add(text.slice(from));
  };

  return {
    push: (bytes) => feed(decoder.decode(bytes, { stream: true })),
    finish() {
      feed(decoder.decode());
      if (length > 0) end();
    },
  };
}
