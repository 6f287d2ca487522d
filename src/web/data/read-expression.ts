/** An expression table from a dropped file, as it streams in. */
import Papa from 'papaparse';
import {
  delimitedTextConfig,
  type ExpressionOptions,
  type ExpressionTable,
  expressionTableBuilder,
} from '../../data/expression-table.ts';
import type { OnTask } from '../worker/dataset.ts';
import { type NamedFile, unpackedBytes } from './file-bytes.ts';

/**
 * CSV or TSV, gzipped or not: the text is never whole in memory.
 *
 * @throws HistogradError those of `expressionTableBuilder`, `bad-gzip`, `not-readable`
 */
export async function readExpressionFile(
  source: NamedFile,
  options: ExpressionOptions,
  onTask: OnTask,
): Promise<ExpressionTable> {
  const builder = expressionTableBuilder(source.path, options);
  const config = delimitedTextConfig(source.path);
  const decoder = new TextDecoder();
  let delimiter = config.delimiter;
  let rest = '';
  let read = 0;
  const parse = (text: string) => {
    const { data, meta } = Papa.parse<string[]>(text, { ...config, delimiter });
    delimiter = meta.delimiter;
    for (const row of data) builder.row(row);
  };
  for await (const bytes of unpackedBytes(source)) {
    read += bytes.length;
    rest += decoder.decode(bytes, { stream: true });
    const end = lastLineEnd(rest);
    if (end === 0) continue;
    parse(rest.slice(0, end));
    rest = rest.slice(end);
    // Packed, the share is not known.
    onTask('Reading expression', Math.min(read, source.file.size), source.file.size);
  }
  rest += decoder.decode();
  if (rest.trim() !== '') parse(rest);
  return builder.finish();
}

/** Where the last whole line ends that is not inside quotes; 0 without one. */
function lastLineEnd(text: string): number {
  for (let end = text.lastIndexOf('\n'); end >= 0; end = text.lastIndexOf('\n', end - 1)) {
    // An odd number of quotes after it means that it lies inside a cell, or that the text's last cell is open.
    if (end === 0) return 0;
    if (quotes(text.slice(0, end)) % 2 === 0) return end + 1;
  }
  return 0;
}

function quotes(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) count++;
  return count;
}
