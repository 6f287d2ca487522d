/** How a run was measured: what anybody must know before believing its figures. */
import { type Html, html } from '../src/report/html.ts';
import { isWebGpuPeer } from './goals.ts';
import { peerNames } from './report-tables.ts';
import type { Run } from './run.ts';
import { commitOf, moment, rangeOf } from './stored.ts';

export function settingTable(run: Run): Html {
  const { environment, ceilings, results } = run;
  const { cpu, cores, memory, os, node, webgpu, tuning, toggles, driverCache } = environment;
  const rate = (flops: number) => `${(flops / 1e9).toFixed(1)} GFLOP/s`;
  const matrix = ceilings.matrixFlops ? `, ${rate(ceilings.matrixFlops)} on its matrix unit` : '';
  const software = environment.adapter?.includes('software')
    ? ' They are those of this adapter, a driver that runs WebGPU on the processor: the same cores do more without it, and what does without it is not bound by them.'
    : '';
  const rows: [string, string][] = [
    ['Measured', `${moment(run)}, commit ${commitOf(run)}`],
    ['Machine', [cpu, cores && `${cores} cores`, memory, os].filter(Boolean).join(', ')],
    ['Runtime', `Node ${node ?? '?'}, webgpu ${webgpu ?? '?'}`],
    ['Kernels', `Tuning: ${tuning ?? 'not recorded'}. Robustness and validation are on.`],
    ['Dawn toggles', toggles ?? 'not recorded'],
    ["Drivers' caches of compiled kernels", driverCache ?? 'not recorded'],
    [
      'Ceilings',
      `${rate(ceilings.flops)} float32${matrix}, ${(ceilings.bandwidth / 1e9).toFixed(1)} GB/s.${software}`,
    ],
    [
      'Rounds',
      `${rangeOf(results.map(({ timing }) => timing.rounds))} of ours. In each of them all take a turn, in an order drawn anew; where time is short, who takes twice as long as the fastest of its kind leaves after the second.`,
    ],
    ...peerNames(results).map((name): [string, string] => [name, wayOf(name)]),
  ];
  return html`<figure class="table"><div class="scroll"><table class="list"><tbody>${rows.map(
    ([what, text]) => html`<tr><th scope="row">${what}</th><td>${text}</td></tr>`,
  )}</tbody></table></div></figure>`;
}

/** Where a peer ran, which decides what a comparison with it says. */
function wayOf(name: string): string {
  const version = /^PyTorch (\d+)/.exec(name)?.[1];
  if (version) {
    const place = name.endsWith(', CPU')
      ? 'on the processor, a thread for each core, without an adapter: an anchor, no WebGPU peer.'
      : 'on CUDA, not WebGPU: the anchor.';
    const attention =
      Number(version) < 2
        ? ' Its attention is two products and a softmax: the fused one came with PyTorch 2.'
        : '';
    return `In a process of its own, ${place}${attention}`;
  }
  if (!isWebGpuPeer(name)) {
    return 'In our process, on the processor, without an adapter: an anchor, no WebGPU peer.';
  }
  if (name.startsWith('onnxruntime')) {
    return 'In our process, on the same driver, through a Dawn of its own; forward only.';
  }
  const optimiser = name.startsWith('tfjs') ? 'Adam' : 'AdamW';
  return `In our process, on the same adapter. Its training steps have ${optimiser} and no gradient norm.`;
}
