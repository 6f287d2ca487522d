import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findSlides } from '../../src/extraction/node/find-slides.ts';
import { openSlide } from '../../src/slides/node/open-slide.ts';
import { expectError } from '../data/expect-error.ts';
import { dicomFile, frames } from '../slides/write-dicom.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'histograd-find-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function add(name: string, content: Uint8Array | string = 'x'): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** A file of a series; `level` 1 is half as large. */
function dicom(series: string, { level = 0, label = false, container = '' } = {}): Uint8Array {
  const [width, height] = level === 0 ? [20, 14] : [10, 7];
  const across = Math.ceil(width / 8) * Math.ceil(height / 8);
  return dicomFile({
    pixels: Buffer.concat(frames(width, height, 8)),
    elements: {
      '00080008': ['CS', `ORIGINAL\\PRIMARY\\${label ? 'LABEL' : 'VOLUME'}\\NONE`],
      '0020000E': ['UI', series],
      '00280008': ['IS', String(across)],
      '00400512': container === '' ? null : ['LO', container],
      '00480006': ['UL', width],
      '00480007': ['UL', height],
    },
  });
}

async function found(...paths: string[]) {
  const warnings: string[] = [];
  const slides = await findSlides(paths.length > 0 ? paths : [folder], (text) =>
    warnings.push(text),
  );
  const files = slides.map(({ id, path }): [string, string[]] => [
    id,
    [path].flat().map((file) => basename(file)),
  ]);
  return { slides, files: Object.fromEntries(files), warnings };
}

describe('findSlides', () => {
  it('finds slides in subfolders, not what is hidden or something else, and no loops', async () => {
    add('b.svs');
    add('sub/deep/a.TIF');
    add('sub/notes.txt');
    add('.hidden/c.svs');
    add('sub/.d.svs');
    symlinkSync(folder, join(folder, 'loop'));
    symlinkSync(folder, join(folder, 'loop.svs'));
    const linked = add('elsewhere/.kept/e.svs');
    symlinkSync(linked, join(folder, 'e.svs'));
    const { files, slides } = await found();
    expect(files).toEqual({ b: ['b.svs'], e: ['e.svs'], a: ['a.TIF'] });
    expect(slides[0]).toEqual({ id: 'b', name: 'b.svs', path: join(folder, 'b.svs'), bytes: 1 });
    // The same file, by its folder and by its name, is one slide.
    expect((await found(folder, join(folder, 'b.svs'))).files).toEqual(files);
  });

  it('a DICOM series in a folder of its own is a slide of that name, which opens with its levels', async () => {
    add('one/IM_1.dcm', dicom('1.1'));
    add('one/IM_2.dcm', dicom('1.1', { level: 1 }));
    add('one/IM_3.dcm', dicom('1.1', { label: true }));
    add('two/IM_1.dcm', dicom('1.2'));
    add('two/IM_2.dcm', dicom('1.2', { level: 1 }));
    const { files, slides } = await found();
    expect(files).toEqual({
      one: ['IM_1.dcm', 'IM_2.dcm', 'IM_3.dcm'],
      two: ['IM_1.dcm', 'IM_2.dcm'],
    });
    expect(slides[0]!.name).toBe('one (3 files)');
    const slide = await openSlide(slides[0]!.path);
    expect(slide.levels.map(({ width }) => width)).toEqual([20, 10]);
    await slide.close();
    expect(Object.keys((await found(join(folder, 'two'))).files)).toEqual(['two']);
  });

  it('several series in one folder are named by what their files share', async () => {
    for (const [id, uid] of [
      ['S-7 HE', '1.1'],
      ['S-8 HE', '1.2'],
    ] as const) {
      add(`${id}_level0.dcm`, dicom(uid));
      add(`${id}_level1.dcm`, dicom(uid, { level: 1 }));
      add(`${id}_label.dcm`, dicom(uid, { label: true }));
    }
    add('S9.dcm', dicom('1.3'));
    add('S10.dcm', dicom('1.3', { level: 1 }));
    add('alone.dcm', dicom('1.4'));
    expect(Object.keys((await found()).files)).toEqual(['S-7 HE', 'S-8 HE', 'S10', 'alone']);
  });

  it('where names say nothing, by what is written on the glass, made fit for a file', async () => {
    for (const [uid, container] of [
      ['1.2.826.0.1.1', 'TCGA-A1-01Z-00-DX1'],
      ['1.2.826.0.1.2', '../../etc/H&E 12'],
    ] as const) {
      const folder = `SM_${uid}`;
      add(`${folder}/${uid}.7.1.dcm`, dicom(uid, { container }));
      add(`${folder}/${uid}.7.2.dcm`, dicom(uid, { level: 1, container }));
    }
    expect(Object.keys((await found()).files)).toEqual(['TCGA-A1-01Z-00-DX1', '_.._etc_H_E_12']);
  });

  it('leaves out labels, unless they are asked for', async () => {
    add('a.svs');
    const label = add('label.dcm', dicom('1.9', { label: true }));
    const { files, warnings } = await found();
    expect(files).toEqual({ a: ['a.svs'] });
    expect(warnings.join()).toMatch(/label\.dcm is left out: its DICOM series is a label/);
    expect((await found(label)).files).toEqual({ label: ['label.dcm'] });
  });

  it('leaves damaged files, and files without a series, to be slides of their own', async () => {
    add('a.dcm', 'junk');
    add('b.dcm', dicom('1.1').subarray(0, 200));
    add('c.dcm', dicomFile({ elements: { '0020000E': null } }));
    add('d.dcm', dicomFile({ elements: { '0020000E': null } }));
    expect(Object.keys((await found()).files)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('refuses two slides of one name, no slides, and no such file', async () => {
    add('x/S0.svs');
    const second = add('y/S0.tif');
    await expectError(
      () => found(),
      'duplicate-slide',
      /S0\.svs and .*S0\.tif would both become S0/,
    );
    rmSync(second);
    add('empty/notes.txt');
    await expectError(() => found(join(folder, 'empty')), 'no-slides', /expected files ending in/);
    await expectError(() => found(join(folder, 'gone')), 'no-file', /gone does not exist/);
  });
});
