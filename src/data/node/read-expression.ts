/** Expression tables from files. */
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import Papa from 'papaparse';
import { HistogradError } from '../../errors.ts';
import { binaryKind } from '../binary-kind.ts';
import {
  delimitedTextConfig,
  type ExpressionOptions,
  type ExpressionTable,
  expressionTableBuilder,
} from '../expression-table.ts';
import { readError } from './read-file.ts';

/**
 * Reads an expression table, CSV or TSV, gzipped if it ends in .gz. Streamed: the text is never whole in memory.
 *
 * @throws HistogradError `no-file`, `not-readable`, `bad-gzip`, and those of `expressionTableBuilder`
 */
export async function readExpressionTable(
  path: string,
  options: ExpressionOptions = {},
): Promise<ExpressionTable> {
  const builder = expressionTableBuilder(path, options);
  const parser = Papa.parse(Papa.NODE_STREAM_INPUT, delimitedTextConfig(path));
  const source = createReadStream(path);
  const consume = async (rows: AsyncIterable<unknown>) => {
    for await (const row of rows) if (isRow(row)) builder.row(row);
  };
  // A pipeline reports the abort of a later stage instead of its cause.
  let notText: HistogradError | undefined;
  const decode = (chunks: AsyncIterable<Uint8Array>) =>
    decodeText(chunks, (kind) => {
      notText = new HistogradError(
        'bad-expression',
        `${path} is not a usable expression table: it is ${kind}.`,
        'Expected text (CSV or TSV, in UTF-8): a header line, names in the first column, and a number in every other cell.',
      );
      return notText;
    });
  try {
    if (path.endsWith('.gz')) await pipeline(source, createGunzip(), decode, parser, consume);
    else await pipeline(source, decode, parser, consume);
  } catch (cause) {
    throw notText ?? sourceError(path, cause);
  }
  return builder.finish();
}

/** Papa Parse decodes each chunk by itself, which would break a letter of several bytes that lies across two. */
async function* decodeText(
  source: AsyncIterable<Uint8Array>,
  notText: (kind: string) => HistogradError,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let first = true;
  for await (const chunk of source) {
    const kind = first ? binaryKind(chunk) : undefined;
    if (kind !== undefined) throw notText(kind);
    first = false;
    yield decoder.decode(chunk, { stream: true });
  }
  yield decoder.decode();
}

function isRow(row: unknown): row is string[] {
  return Array.isArray(row) && row.every((cell) => typeof cell === 'string');
}

function sourceError(path: string, cause: unknown): HistogradError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (!code.startsWith('Z_')) return readError(path, cause);
  return new HistogradError(
    'bad-gzip',
    `${path} cannot be uncompressed: ${cause instanceof Error ? cause.message : code}.`,
    'The file is damaged, cut short or not gzipped: copy or download it again.',
    { cause },
  );
}
