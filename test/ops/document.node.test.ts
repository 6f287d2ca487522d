/** docs/ops.md, written from the registry and the tests. `npx vitest run --project node-ops test/ops/document -u` renews it. */
import { describe, expect, it } from 'vitest';
import { describeOp, opNames } from '../../src/ops/op.ts';
import { loadGolden } from '../reference/goldens.ts';
import { exportedOps, kernelsOf, opProofs } from './inventory.ts';

const HEADER = ['operation', 'inputs', 'result', 'cost', 'host', 'kernels', 'proofs'];

async function row(name: string): Promise<string[]> {
  const { key, file } = exportedOps().find((op) => op.name === name)!;
  const { inputs, output, cost, operands = 0 } = describeOp(name)!;
  const { test, call } = opProofs().get(key)!;
  const { cases } = await loadGolden('ops', name);
  const more = [
    call.includes('linearIn') ? ', adjoint' : '',
    /\bsplits\b/.test(call) ? ', splits' : '',
    operands > 0 ? ', float16' : '',
  ];
  const proofs = `[${test}](../test/ops/${test}): ${cases.length} goldens${more.join('')}`;
  const kernels = kernelsOf(file).map(
    (kernel) => `[${kernel.replace('.wgsl', '')}](../shaders/${kernel})`,
  );
  return [
    `\`${name}\``,
    inputs,
    output,
    cost,
    `[${file}](../src/ops/${file})`,
    kernels.join(', ') || '—',
    proofs,
  ];
}

/** A table as the formatter writes it. */
function table(rows: readonly (readonly string[])[]): string {
  const escaped = rows.map((cells) => cells.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = escaped[0]!.map((_, i) =>
    Math.max(...escaped.map((cells) => [...cells[i]!].length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell + ' '.repeat(widths[i]! - [...cell].length)).join(' | ')} |`;
  const [head, ...body] = escaped;
  return [line(head!), line(widths.map((n) => '-'.repeat(n))), ...body.map(line)].join('\n');
}

describe('docs/ops.md', () => {
  it('is what the registry says', async () => {
    const rows = await Promise.all([...opNames()].sort().map(row));
    const text = `# Operations

Every operation of the engine, forward and backward, from its declaration in \`src/ops/\`. This page is generated:
\`npx vitest run --project node-ops test/ops/document -u\`.

- **Cost** counts floating-point operations of the forward pass; \`N\` stands for all elements where no letter says more.
- **Kernels** are the WGSL files that forward and gradient run.
- **Proofs**: each operation is compared with PyTorch (values and gradients, that many cases), with a float64 reference over
  awkward shapes, and with its own central differences, in the kernels' CPU and GPU tunings. _adjoint_: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ as well.
  _splits_: also on a device whose bindings are smaller than the tensors. _float16_: also with operands in float16.
- **float16** is taken by \`cast\` and, as operands, by the products whose proofs say so: \`autocast\` gives it to them. Sums and results are
  float32. GPUs with the feature \`shader-f16\` read the halves from memory (no kernels for this: depthwise convolution, heads whose width
  is not a multiple of 4); everywhere else they are widened to a float32 copy first, which is right, and slower than float32.

${table([HEADER, ...rows])}
`;
    await expect(text).toMatchFileSnapshot('../../docs/ops.md');
  });
});
