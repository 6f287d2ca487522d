/** Graph convolution by means over neighbours, and the graph of spots that Hist2ST builds. */
import { Parameter } from '../autograd/parameter.ts';
import { HistogradError } from '../errors.ts';
import type { Device } from '../gpu/device.ts';
import { l2Normalize } from '../ops/l2-normalize.ts';
import { concat } from '../ops/layout.ts';
import { linear } from '../ops/matmul.ts';
import { inLayer } from '../ops/op.ts';
import { spmm } from '../ops/spmm.ts';
import { relu } from '../ops/unary.ts';
import { Csr } from '../tensor/csr.ts';
import { uniform } from '../tensor/random.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Init } from './layers.ts';
import { Module } from './module.ts';

/**
 * GraphSAGE with mean aggregation (Hamilton et al. 2017, algorithm 1) as Hist2ST has it (Zeng et al. 2022, `gs_block`):
 * normalise(relu(W m)), m the mean over the neighbours; rows are scaled to length 1. With `concatSelf`, W [x | m] as in the paper;
 * Hist2ST (its gcn=True) leaves the node itself out. weight [out, in] (or [out, 2 in]) is Xavier-uniform, without bias.
 */
export class SageConv extends Module {
  readonly weight: Parameter;
  readonly concatSelf: boolean;

  constructor(init: Init, inputs: number, outputs: number, concatSelf = false) {
    super(init);
    const { device, generator } = init;
    const width = concatSelf ? 2 * inputs : inputs;
    const bound = Math.sqrt(6 / (width + outputs));
    this.weight = Parameter.of(uniform(device, [outputs, width], generator.next(), -bound, bound));
    this.concatSelf = concatSelf;
  }

  /**
   * x [N, in] to [N, out]. `graph` [N, N] takes means over neighbours (`Csr.normalizeRows`); a node without any has the mean 0,
   * and without `concatSelf` the result 0 (the original divides 0 by 0).
   */
  forward(x: Tensor, graph: Csr): Tensor {
    return inLayer(this.layerName, () => {
      const means = spmm(graph, x);
      const input = this.concatSelf ? concat([x, means], 1) : means;
      return l2Normalize(relu(linear(input, this.weight)));
    });
  }
}

export interface NeighbourGraphOptions {
  /** How many nearest others each spot listens to (Hist2ST: 4). */
  neighbours?: number;
  /** Those farther away are left out again; Hist2ST's 'Grid' pruning: 2. */
  maxDistance?: number;
}

/**
 * The graph of a section's spots by their array coordinates (Hist2ST's calcADJ, k = 4, pruned 'Grid'): each row holds the
 * mean over the nearest other spots by Euclidean distance; at equal distance the first in the list. Directed; rows may be empty.
 */
export function neighbourGraph(
  device: Device,
  coordinates: readonly (readonly [x: number, y: number])[],
  { neighbours = 4, maxDistance = 2 }: NeighbourGraphOptions = {},
): Csr {
  if (!Number.isInteger(neighbours) || neighbours < 1) {
    throw new HistogradError(
      'option',
      `neighbourGraph: expected a number of neighbours from 1 on, found ${neighbours}.`,
      'Hist2ST uses 4.',
    );
  }
  const rows: number[] = [];
  const columns: number[] = [];
  for (const [i, [x, y]] of coordinates.entries()) {
    const nearest: { j: number; distance: number }[] = [];
    for (const [j, other] of coordinates.entries()) {
      const distance = Math.hypot(other[0] - x, other[1] - y);
      if (j === i || !(distance <= maxDistance)) continue;
      let at = nearest.length;
      while (at > 0 && distance < nearest[at - 1]!.distance) at--;
      nearest.splice(at, 0, { j, distance });
      if (nearest.length > neighbours) nearest.pop();
    }
    for (const { j } of nearest) {
      rows.push(i);
      columns.push(j);
    }
  }
  const count = coordinates.length;
  const edges = Csr.fromEdges(device, count, count, { rows, columns });
  return edges.normalizeRows();
}
