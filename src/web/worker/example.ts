/** The finished run that comes with the page (made by `src/web/example/make.mjs`), fetched when it is asked for. */
import { HistogradError } from '../../errors.ts';
import modelUrl from '../example/model.safetensors?url';
import told from '../example/run.json';
import type { Foreign } from './session.ts';

/** @throws HistogradError `not-loaded` */
export async function loadExample(): Promise<Foreign> {
  const response = await fetch(new URL(modelUrl, import.meta.url)).catch(() => null);
  if (!response?.ok) {
    throw new HistogradError(
      'not-loaded',
      `The example could not be loaded (${response ? response.status : 'no connection'}).`,
      'Check the connection to the server that this page came from, and try again.',
    );
  }
  const { meanPearson: _, split, ...rest } = told;
  return {
    name: 'example',
    bytes: new Uint8Array(await response.arrayBuffer()),
    told: {
      ...rest,
      title: 'Example: Direct-ABMIL',
      split: { unit: 'patients', note: null, ...split },
    },
  };
}
