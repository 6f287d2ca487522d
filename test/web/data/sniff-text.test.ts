import { describe, expect, it } from 'vitest';
import { patientOfSection } from '../../../src/web/data/cohort-names.ts';
import { sniffText } from '../../../src/web/data/sniff-text.ts';

const sniff = (text: string, path = 'table.txt') => sniffText(text, path, true);

describe('sniffText', () => {
  it.each([
    ['%%MatrixMarket matrix coordinate integer general\n2 2 1\n1 1 3\n', 'mtx'],
    ['{"tissue_hires_scalef": 0.1, "spot_diameter_fullres": 9}', 'scales'],
    ['{"genes": 3, "sections": [{"id": "A", "patient": "P", "spots": 2}]}', 'pack-sections'],
    ['[{"symbol": "ESR1"}]', 'pack-genes'],
    ['section,animal,index,array_x,array_y,px_x,px_y\nA,1,0,1,1,5,5\n', 'pack-spots'],
    ['barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres\n', 'positions'],
    ['ACGTACGT-1,1,0,0,10,20\nACGTACGA-1,0,0,2,10,40\n', 'positions'],
    ['ACGTACGTAA-1\nACGTACGTAC-1\n', 'barcodes'],
    ['ENSG01\tESR1\tGene Expression\nENSG02\tMKI67\tGene Expression\n', 'feature-list'],
    ['ENSG01\tESR1\nENSG02\tMKI67\n', 'feature-list'],
    ['x\ty\tpixel_x\tpixel_y\n2\t3\t100.5\t200.5\n', 'spot-file'],
    ['290.5 0 0 0 290.5 0 -290 -300 1', 'alignment'],
    ['\tAAA\tBBB\n2x3\t1\t0\n3x3\t0\t2\n', 'legacy-counts'],
    ['\t2x3\t3x3\nAAA\t1\t0\nBBB\t0\t2\n', 'legacy-counts'],
    ['slide;patient\nS1;P1\n', 'patients'],
    ['slide,ESR1,MKI67\nS1,1.5,2\nS2,NA,4\n', 'expression'],
    ['ESR1,MKI67\nS1,1.5,2\n', 'expression'],
  ])('%j is %s', (text, kind) => {
    expect(sniff(text)?.is).toBe(kind);
  });

  it.each([
    ['', /empty/],
    ['version https://git-lfs.github.com/spec/v1\noid sha256:00\n', /Git LFS/],
    ['<!DOCTYPE html><html>', /web page/],
    ['{"version": 1}', /says nothing about spots/],
    ['[1, 2, 3]', /says nothing about genes/],
    ['Dear colleague,\nhere are the data.\n', /text|no table/],
    ['slide,stage,ESR1\nS1,early,3\nS2,late,4\n', /column stage holds "early"/],
    ['sample,patient,age\nS1,P1,old\n', /none called "slide"/],
  ])('%j is ignored with the reason', (text, reason) => {
    const found = sniff(text);
    expect(found?.is).toBe('ignored');
    expect(found?.is === 'ignored' && found.note).toMatch(reason);
  });

  it('asks for more where a long first line is cut, and not where it is whole', () => {
    const header = `slide,${Array.from({ length: 50 }, (_, i) => `G${i}`).join(',')}`;
    expect(sniffText(header.slice(0, 100), 'a.csv', false)).toBeUndefined();
    expect(sniffText(`${header}\nS1,1`, 'a.csv', false)).toBeUndefined();
    expect(sniffText(`a,b\nS1,1\nS2,`, 'a.csv', false)).toMatchObject({
      is: 'expression',
      table: { header: ['b'], firstNames: ['S1'] },
    });
  });
});

describe('patientOfSection', () => {
  it.each([
    ['A1', 'A'],
    ['MOB3', 'MOB'],
    ['V1_Breast_Cancer_Block_A_Section_2', 'V1_Breast_Cancer_Block_A'],
    ['P7-rep2', 'P7'],
    ['TCGA-A1-A0SB-01Z-00-DX1', 'TCGA-A1-A0SB'],
    ['151507', '151507'],
  ])('%s is of %s', (section, patient) => expect(patientOfSection(section)).toBe(patient));
});
