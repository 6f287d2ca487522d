// What fine-tuning adds (docs/results.md): the histology ShuffleNet with a linear head on spots of mouse olfactory bulb, end to
// end in the manner of ST-Net (He et al. 2020), against the same head on the frozen network. Both train on animal 1 (MOB1, MOB2)
// and are tested on animal 2 (MOB3); the number of epochs is chosen before, training on MOB1 and validating on MOB2.
//   npm run build && node examples/fine-tune-shufflenet.mjs ../shared/data [epochs of fine-tuning to choose from, 6]
import * as hg from 'histograd';

const [data = '../shared/data', most = '6'] = process.argv.slice(2);
const WEIGHTS = `${data}/weights/shufflenet_v1_g4_tcga_msi_histology.safetensors`;
const GENES = 250;
const SIDE = 64; // the crops of 32 px, enlarged
const BATCH = 32;
const HEAD_LR = 1e-3;
const NETWORK_LR = 1e-4;
const FINE_TUNED_EPOCHS = Number(most);
const FROZEN_EPOCHS = 10 * FINE_TUNED_EPOCHS; // these cost next to nothing

const device = await hg.Device.open();
const checkpoint = await hg.readCheckpoint(WEIGHTS);
const pack = await hg.readStSpots(`${data}/mob-mini`, GENES);
const [mob1, mob2, mob3] = pack.sections;
const pixels = 3 * pack.side ** 2;

/** Flips and quarter turns: pixel i of symmetry s comes from SYMMETRIES[s][i]. */
const SYMMETRIES = Array.from({ length: 8 }, (_, s) =>
  Array.from({ length: pack.side ** 2 }, (_, i) => {
    let [x, y] = [i % pack.side, Math.floor(i / pack.side)];
    if (s & 1) x = pack.side - 1 - x;
    if (s & 2) y = pack.side - 1 - y;
    if (s & 4) [x, y] = [y, x];
    return y * pack.side + x;
  }),
);

/** Spots of several sections as [section, row] pairs. */
const spotsOf = (sections) =>
  sections.flatMap((section) => Array.from({ length: section.spots }, (_, row) => [section, row]));
const expressionOf = (spots) =>
  Float32Array.from(
    spots.flatMap(([{ expression }, i]) => [...expression.subarray(i * GENES, (i + 1) * GENES)]),
  );

/** The crops of a batch on the GPU, spot b turned by symmetry turns[b]. */
function images(net, spots, turns) {
  const bytes = new Uint8Array(spots.length * pixels);
  for (const [b, [{ crops }, row]] of spots.entries()) {
    for (const [i, from] of SYMMETRIES[turns[b]].entries()) {
      const at = row * pixels + 3 * from;
      bytes.set(crops.subarray(at, at + 3), b * pixels + 3 * i);
    }
  }
  const shape = [spots.length, pack.side, pack.side];
  return hg.preprocess(device, bytes, shape, { ...net.preprocessing, size: SIDE });
}

class StNet extends hg.Module {
  constructor(train) {
    super();
    const init = { device, generator: new hg.Generator(0) };
    this.network = hg.createExtractor('shufflenet', init);
    hg.loadWeights(this.network, checkpoint);
    this.head = new hg.Linear(init, this.network.width, GENES);
    // ST-Net's start: the mean of the training spots for everyone.
    const expression = expressionOf(train);
    const mean = new Float32Array(GENES);
    for (const [i, value] of expression.entries()) mean[i % GENES] += value / train.length;
    this.head.weight.assign(new Float32Array(GENES * this.network.width));
    this.head.bias.assign(mean);
  }

  /** Mean prediction over the crops as they are and, with 8, over all their symmetries, as ST-Net predicts. */
  async predict(spots, inputs, symmetries) {
    this.eval();
    const mean = new Float32Array(spots.length * GENES);
    for (let at = 0; at < spots.length; at += BATCH) {
      for (let turn = 0; turn < symmetries; turn++) {
        const batch = spots.slice(at, at + BATCH);
        const out = hg.scope(() =>
          hg.noGrad(() =>
            this.head.forward(
              inputs(
                this.network,
                batch,
                batch.map(() => turn),
              ),
            ),
          ),
        );
        for (const [i, value] of (await out.floats()).entries())
          mean[at * GENES + i] += value / symmetries;
        out.dispose();
      }
    }
    return mean;
  }
}

/** Trains and, where there is something to validate on, scores after every epoch. */
async function train(name, model, groups, inputs, spots, epochs, validate) {
  const optimizer = new hg.Adam(groups);
  const scores = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const start = performance.now();
    // Batch norms of a network that is trained use, and learn, the statistics of the batch.
    model.train();
    const order = hg.shuffle(spots.length, 0, epoch);
    const random = hg.shuffle(spots.length, 1, epoch); // modulo 8, a symmetry each
    let loss = 0;
    for (let at = 0; at < order.length; at += BATCH) {
      const batch = order.slice(at, at + BATCH).map((i) => spots[i]);
      if (batch.length < 2) continue;
      const turns = batch.map((_, b) => random[at + b] % 8);
      const value = hg.scope(() => {
        optimizer.zeroGrad();
        const wanted = hg.Tensor.from(device, expressionOf(batch), [batch.length, GENES]);
        const loss = hg.mse(model.head.forward(inputs(model.network, batch, turns)), wanted);
        hg.backward(loss);
        optimizer.step();
        return loss;
      });
      loss += (await value.item()) * (batch.length / spots.length);
      value.dispose();
    }
    if (validate) scores.push(await score(model, validate, inputs, 1));
    if (epochs <= FINE_TUNED_EPOCHS) {
      const seconds = ((performance.now() - start) / 1000).toFixed(0);
      console.log(
        `${name}, epoch ${epoch + 1}: loss ${loss.toFixed(4)}`,
        scores.at(-1)?.toFixed(4) ?? '',
        `${seconds} s`,
      );
    }
  }
  optimizer.dispose();
  return scores;
}

async function score(model, section, inputs, symmetries) {
  const predicted = await model.predict(spotsOf([section]), inputs, symmetries);
  return hg.withinSections(predicted, section.expression, GENES, [section.spots]).mean;
}

/** The embeddings of all symmetries of all spots, computed once: what a head on the frozen network sees. */
async function frozenInputs() {
  const start = performance.now();
  const model = new StNet(spotsOf([mob1])).eval();
  const { network } = model;
  const known = new Map();
  for (const section of pack.sections) {
    const perTurn = [];
    for (let turn = 0; turn < 8; turn++) {
      const table = new Float32Array(section.spots * network.width);
      const spots = spotsOf([section]);
      for (let at = 0; at < spots.length; at += BATCH) {
        const batch = spots.slice(at, at + BATCH);
        const embed = () =>
          network.forward(
            images(
              network,
              batch,
              batch.map(() => turn),
            ),
          );
        const out = hg.scope(() => hg.noGrad(embed));
        table.set(await out.floats(), at * network.width);
        out.dispose();
      }
      perTurn.push(table);
    }
    known.set(section, perTurn);
  }
  model.dispose();
  console.log(`frozen: embeddings in ${((performance.now() - start) / 1000).toFixed(0)} s`);
  return (net, spots, turns) => {
    const rows = new Float32Array(spots.length * net.width);
    for (const [b, [section, row]] of spots.entries()) {
      const table = known.get(section)[turns[b]];
      rows.set(table.subarray(row * net.width, (row + 1) * net.width), b * net.width);
    }
    return hg.Tensor.from(device, rows, [spots.length, net.width]);
  };
}

/** Chooses the number of epochs on animal 1, trains on all of it and tests on animal 2. */
async function run(name, inputs, groupsOf, epochs) {
  const start = performance.now();
  const inner = new StNet(spotsOf([mob1]));
  const scores = await train(name, inner, groupsOf(inner), inputs, spotsOf([mob1]), epochs, mob2);
  inner.dispose();
  const chosen = scores.indexOf(Math.max(...scores)) + 1;
  const spots = spotsOf([mob1, mob2]);
  const model = new StNet(spots);
  await train(name, model, groupsOf(model), inputs, spots, chosen);
  const test = await score(model, mob3, inputs, 8);
  model.dispose();
  const took = ((performance.now() - start) / 1000).toFixed(0);
  console.log(
    `${name}: ${chosen} of ${epochs} epochs (MOB2 ${scores[chosen - 1].toFixed(3)}); MOB3 ${test.toFixed(3)}; ${took} s`,
  );
}

const head = ({ head }) => ({ parameters: head.namedParameters(), lr: HEAD_LR });
const network = ({ network }) => {
  const all = [...network.namedParameters()].filter(([name]) => !name.startsWith('fc.'));
  return { parameters: new Map(all.map(([name, p]) => [`network.${name}`, p])), lr: NETWORK_LR };
};
console.log(
  `${device.adapter.name}; ${mob1.spots} + ${mob2.spots} spots to train on, ${mob3.spots} to test on`,
);
const embeddings = (net, spots, turns) => net.forward(images(net, spots, turns));
await run('fine-tuned', embeddings, (model) => [head(model), network(model)], FINE_TUNED_EPOCHS);
await run('frozen', await frozenInputs(), (model) => [head(model)], FROZEN_EPOCHS);
device.close();
