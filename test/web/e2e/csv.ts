import Papa from 'papaparse';

export function readCsv(content: Buffer): { header: string[]; rows: string[][] } {
  const { data } = Papa.parse<string[]>(content.toString(), { skipEmptyLines: true });
  const [header = [], ...rows] = data;
  return { header, rows };
}

/** Predictions of a file of `exportPredictions`, by slide. */
export function predictionsOf(content: Buffer, model: string): Map<string, number[]> {
  const { rows } = readCsv(content);
  const found = rows.filter(([name]) => name === model);
  return new Map(found.map(([, , slide = '', ...cells]) => [slide, cells.map(Number)]));
}
