/** Who the patients are: a table of slides. */
import Papa from 'papaparse';
import { HistogradError } from '../errors.ts';
import { delimitedTextConfig } from './expression-table.ts';

/**
 * Reads a table with the columns `slide` and `patient`; others are ignored.
 *
 * @returns patients by slide
 * @throws HistogradError `bad-patients`
 */
export function parsePatientTable(text: string, path: string): Map<string, string> {
  const { data } = Papa.parse<string[]>(text.replace(/^\uFEFF/, ''), delimitedTextConfig(path));
  const [header = [], ...rows] = data.map((row) => row.map((cell) => cell.trim()));
  const slideColumn = header.indexOf('slide');
  const patientColumn = header.indexOf('patient');
  if (slideColumn < 0 || patientColumn < 0) {
    throw badPatients(path, `its header is '${header.join(',')}'`);
  }
  const table = new Map<string, string>();
  for (const row of rows) {
    const slide = row[slideColumn];
    const patient = row[patientColumn];
    if (!slide || !patient) throw badPatients(path, `the line '${row.join(',')}' is incomplete`);
    if (table.has(slide)) throw badPatients(path, `slide ${slide} is given twice`);
    table.set(slide, patient);
  }
  return table;
}

export function badPatients(path: string, problem: string): HistogradError {
  return new HistogradError(
    'bad-patients',
    `The patient table ${path} cannot be used: ${problem}.`,
    'Expected CSV with the columns slide and patient, and one line for every slide.',
  );
}
