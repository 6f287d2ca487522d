import { describe, expect, it } from 'vitest';
import { lineSplitter } from '../../src/data/line-splitter.ts';

function linesOf(text: string, pieces: number, maxLine = 10): string[] {
  const lines: string[] = [];
  const splitter = lineSplitter(
    (line) => lines.push(line),
    maxLine,
    () => new Error(`longer than ${maxLine}`),
  );
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += pieces) splitter.push(bytes.subarray(at, at + pieces));
  splitter.finish();
  return lines;
}

describe('lineSplitter', () => {
  it.each([1, 2, 3, 100])('gives the same lines of pieces of %i bytes', (pieces) => {
    expect(linesOf('añb\n\nüü\r\nlast', pieces)).toEqual(['añb', '', 'üü\r', 'last']);
    expect(linesOf('one\n', pieces)).toEqual(['one']);
    expect(linesOf('', pieces)).toEqual([]);
  });

  it.each([1, 4, 100])('refuses a line that is too long, in pieces of %i bytes', (pieces) => {
    expect(linesOf('0123456789\n', pieces)).toEqual(['0123456789']);
    expect(() => linesOf('0123456789a\n', pieces)).toThrow('longer than 10');
    expect(() => linesOf('0123456789a', pieces)).toThrow('longer than 10');
  });
});
