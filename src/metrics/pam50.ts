/**
 * The 50 genes of the PAM50 breast-cancer classifier (Parker et al., J. Clin. Oncol. 27, 2009). Each entry:
 * the current HGNC symbol, then the older ones that expression tables still carry (`CDCA1`, `KNTC2` and
 * `ORC6L` are those of the published centroids).
 */
const PAM50: readonly (readonly [symbol: string, ...aliases: string[]])[] = [
  ...(
    'ACTR3B ANLN BAG1 BCL2 BIRC5 BLVRA CCNB1 CCNE1 CDC20 CDC6 CDH3 CENPF CEP55 CXXC5 EGFR ERBB2 ESR1 EXO1 ' +
    'FGFR4 FOXA1 FOXC1 GPR160 GRB7 KIF2C KRT14 KRT17 KRT5 MAPT MDM2 MELK MIA MKI67 MLPH MMP11 MYBL2 MYC NAT1'
  )
    .split(' ')
    .map((symbol): readonly [string] => [symbol]),
  ['NDC80', 'KNTC2'],
  ['NUF2', 'CDCA1'],
  ['ORC6', 'ORC6L'],
  ...'PGR PHGDH PTTG1 RRM2 SFRP1 SLC39A6 TMEM45B TYMS UBE2C UBE2T'
    .split(' ')
    .map((symbol): readonly [string] => [symbol]),
];

interface Pam50Genes {
  /** Column of each PAM50 gene found, under its current symbol, in alphabetical order. */
  present: { symbol: string; column: number }[];
  /** Current symbols of the PAM50 genes that the table does not have. */
  missing: string[];
}

/**
 * Finds the PAM50 genes among the columns of an expression table, under their current or older symbols.
 * Symbols are matched exactly: mouse orthologues (`Esr1`) are not PAM50 genes.
 */
export function findPam50(genes: readonly string[]): Pam50Genes {
  const columns = new Map(genes.map((gene, column) => [gene, column]));
  const found: Pam50Genes = { present: [], missing: [] };
  for (const names of PAM50) {
    const name = names.find((candidate) => columns.has(candidate));
    if (name === undefined) found.missing.push(names[0]);
    else found.present.push({ symbol: names[0], column: columns.get(name)! });
  }
  return found;
}
